//! The CPU executor on pools of 1, 2 and 4 threads: every case of the table has the same bits.

use rayon::ThreadPoolBuilder;
use striate::cpu::Executor;
use striate::ops::Access;
use striate::program::{BufferId, Executor as _, Span};
use striate::verify::cases::{Case, cases};

fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads").install(f)
}

/// The bits of every operand after a run.
fn bits(case: &Case) -> Vec<Vec<u32>> {
    let mut executor = Executor::new(case.program().expect("a program")).expect("memory");
    let operands = case.op.operands();
    for (i, values) in case.inputs(3).iter().enumerate() {
        executor.write(BufferId(i as u32), values).expect("a write");
    }
    executor.run(Span::Forward).expect("a run");
    let written = (0..operands.len()).filter(|&i| operands[i].access != Access::Read);
    written
        .map(|i| executor.read(BufferId(i as u32)).expect("a read").iter().map(|v| v.to_bits()).collect())
        .collect()
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for case in cases() {
        let one = with_threads(1, || bits(&case));
        for threads in [2, 4] {
            let found = with_threads(threads, || bits(&case));
            assert_eq!(found, one, "{} {} on {threads} threads", case.op.name(), case.name);
        }
    }
}
