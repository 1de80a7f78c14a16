//! Work on several threads, in this one place of `gpu`: compiling pipelines is most of the start-up time of a large
//! network. In a browser there are none (the module is not compiled there) and nothing needs them: what
//! was not compiled beforehand is compiled when it is asked for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More would only wait for each other in the driver, and each needs memory for its compiler.
const MOST: usize = 16;

/// Does `work` for each of `items`, in any order, on as many threads as there are processors; returns when all is done.
pub(super) fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item);
        }
    };
    thread::scope(|scope| {
        for _ in 1..processors.min(items.len()).min(MOST) {
            // A thread that cannot be had leaves more to the others, and this one does not need it.
            let _ = thread::Builder::new().name("compile".into()).spawn_scoped(scope, take);
        }
        take();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    #[test]
    fn every_item_is_done_once() {
        for count in [0, 1, 2, 100] {
            let items: Vec<usize> = (0..count).collect();
            let done = Mutex::new(Vec::new());
            each(&items, |&item| done.lock().unwrap().push(item));
            let done = done.into_inner().unwrap();
            assert_eq!(done.len(), count);
            assert_eq!(done.into_iter().collect::<BTreeSet<_>>(), items.into_iter().collect());
        }
    }
}
