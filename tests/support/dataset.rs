//! Requests for data sets, and what their errors have to look like.

use std::path::Path;
use striate::Error;
use striate::data::{Dataset, Labels, Request};

/// A request for the data set at `path`.
pub fn request(path: &Path, input: [usize; 3], outputs: usize) -> Request {
    Request::new(input, outputs).with_path(Some(path.to_str().unwrap().into()))
}

/// The labels of a data set with classes.
pub fn classes(dataset: &Dataset) -> &[u32] {
    match &dataset.labels {
        Labels::Classes(classes) => classes,
        _ => panic!("classes expected"),
    }
}

/// Fails unless `error` is bad data, in one line that names a file of `folder`.
pub fn assert_clear(error: &Error, folder: &Path, case: &str) {
    let message = error.to_string();
    assert_eq!(error.exit_code(), 4, "{case}: {message}");
    assert!(message.starts_with(folder.to_str().unwrap()), "{case}: {message}");
    assert!(!message.contains('\n'), "{case}: {message}");
}
