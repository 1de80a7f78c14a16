//! System calls of the program, seen, failed and cut off from outside by `strace`: the program needs no hook for it.

use super::program::{command, striate};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The calls that can change what is on the disk, and those that say where in a file.
pub const CALLS: &str = "openat,write,pwrite64,lseek,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,\
    unlinkat,ftruncate,mkdir,mkdirat";

/// Whether there is an `strace` that may trace. Where not, a test says so and is over, unless `STRIATE_REQUIRE_STRACE=1`.
pub fn is_there() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    let is_there = *IS_THERE.get_or_init(|| {
        let tried = Command::new("strace").args(["-f", "--seccomp-bpf", "-o", "/dev/null", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    if !is_there {
        let required = std::env::var("STRIATE_REQUIRE_STRACE").is_ok_and(|value| value == "1");
        assert!(!required, "STRIATE_REQUIRE_STRACE=1, but there is no strace that may trace");
        eprintln!("skipped: no strace that may trace");
    }
    is_there
}

/// One call of the program's main thread, which is the one that writes files.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// What stands between the parentheses.
    pub arguments: String,
    /// What stands behind the equals sign.
    pub result: String,
    /// Which call of this name it is, from 1, as `when=` counts them.
    pub number: usize,
}

impl Call {
    /// The value of a call that succeeded.
    pub fn value(&self) -> Option<u64> {
        self.result.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// The paths and the text of the arguments, unescaped.
    pub fn texts(&self) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        let mut rest = self.arguments.as_bytes();
        while let Some(start) = rest.iter().position(|&byte| byte == b'"') {
            let (text, length) = unescape(&rest[start + 1..]);
            texts.push(text);
            rest = &rest[start + 1 + length..];
        }
        texts
    }

    /// The path of the file that the first argument, a descriptor, stands for, and its number.
    pub fn file(&self) -> Option<(u64, PathBuf)> {
        let (number, rest) = self.arguments.split_once('<')?;
        Some((number.parse().ok()?, PathBuf::from(rest.split_once('>')?.0)))
    }

    /// Whether `part` occurs in it.
    pub fn names(&self, part: &str) -> bool {
        self.arguments.contains(part)
    }
}

/// The string that ends at the next quotation mark, and how long it was.
fn unescape(escaped: &[u8]) -> (Vec<u8>, usize) {
    let (mut text, mut at) = (Vec::new(), 0);
    while escaped[at] != b'"' {
        if escaped[at] != b'\\' {
            text.push(escaped[at]);
            at += 1;
            continue;
        }
        let digits = |from: usize, most: usize, radix: u32| {
            let is_digit = |&&byte: &&u8| char::from(byte).is_digit(radix);
            let count = escaped[from..].iter().take(most).take_while(is_digit).count();
            let digits = std::str::from_utf8(&escaped[from..from + count]).unwrap();
            (u8::from_str_radix(digits, radix), from + count)
        };
        let (byte, next) = match escaped[at + 1] {
            b'x' => digits(at + 2, 2, 16),
            b'0'..=b'7' => digits(at + 1, 3, 8),
            other => {
                let names: HashMap<u8, u8> =
                    [(b'n', b'\n'), (b't', b'\t'), (b'r', b'\r'), (b'v', 11), (b'f', 12)].into();
                (Ok(names.get(&other).copied().unwrap_or(other)), at + 2)
            }
        };
        text.push(byte.unwrap());
        at = next;
    }
    (text, at + 1)
}

/// Runs the program under `strace` with these `options` (which may inject faults); its output and the calls of its main
/// thread.
pub fn trace(folder: &Path, options: &[String], arguments: &[String]) -> (Output, Vec<Call>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut strace = command(Path::new("strace"), folder);
    // With a filter in the kernel it is faster, but then nothing is killed.
    if !options.iter().any(|option| option.contains("signal=")) {
        strace.arg("--seccomp-bpf");
    }
    strace.args(["-f", "-yy", "-x", "-s", "100000000", "-e", &format!("trace={CALLS}"), "-o"]);
    strace.arg(log.path()).args(options).arg("--").arg(striate()).args(arguments);
    let output = strace.output().unwrap();
    (output, parse(&std::fs::read_to_string(log.path()).unwrap()))
}

/// Calls that another thread has interrupted are in two lines.
fn parse(log: &str) -> Vec<Call> {
    let (mut calls, mut counts) = (Vec::new(), HashMap::new());
    let main = log.split_whitespace().next().unwrap();
    let mut begun = String::new();
    for line in log.lines().filter_map(|line| line.strip_prefix(main)) {
        let line = line.trim_start();
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            begun = start.to_string();
            continue;
        }
        let whole = match line.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, rest)) => format!("{}{rest}", std::mem::take(&mut begun)),
            None => line.to_string(),
        };
        let Some((name, rest)) = whole.split_once('(') else { continue };
        if !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
        let arguments = arguments.trim_end().trim_end_matches(')').to_string();
        let number = *counts.entry(name.to_string()).and_modify(|count| *count += 1).or_insert(1);
        calls.push(Call { name: name.to_string(), arguments, result: result.to_string(), number });
    }
    calls
}

/// The calls from the `first` to before the `last` time (from 1; to the end if there are not so many) that the log is forced to
/// the disk, which is how a save begins; except for those that change no file.
pub fn saves(calls: &[Call], first: usize, last: usize) -> Vec<Call> {
    let begins = |(_, call): &(usize, &Call)| call.name == "fdatasync" && call.names("log.jsonl");
    let starts: Vec<usize> = calls.iter().enumerate().filter(begins).map(|(at, _)| at).collect();
    let end = starts.get(last - 1).copied().unwrap_or(calls.len());
    let elsewhere = |call: &Call| ["/proc/", "<pipe:", "<anon"].iter().any(|part| call.names(part));
    let calls = calls[starts[first - 1]..end].iter();
    calls.filter(|call| call.name != "lseek" && !elsewhere(call)).cloned().collect()
}
