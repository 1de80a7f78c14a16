//! Data that is not `f32` on its way to an executor.

use super::{BufferId, Executor};
use crate::error::{Error, Result};
use bytemuck::NoUninit;

/// Writes `values` (the bytes of images, a table of views) to `buffer` as its 32-bit words.
///
/// [`Executor::write`] takes every word as an `f32`. This is the only place where other data is reinterpreted as such;
/// many of these words are not meaningful floats.
///
/// Errors: those of [`Executor::write`], and bytes that do not make whole words.
pub fn write_words<T: NoUninit>(
    executor: &mut (impl Executor + ?Sized),
    buffer: BufferId,
    values: &[T],
) -> Result<()> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    if let Ok(words) = bytemuck::try_cast_slice(bytes) {
        return executor.write(buffer, words);
    }
    // Bytes may begin anywhere in memory; floats may not.
    let (words, []) = bytes.as_chunks::<4>() else {
        return Err(Error::Internal(format!("{} bytes are not whole 32-bit words", bytes.len())));
    };
    let words: Vec<f32> = words.iter().map(|&word| f32::from_ne_bytes(word)).collect();
    executor.write(buffer, &words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Pending, Span};

    #[derive(Default)]
    struct Recorder(Vec<u32>);

    impl Executor for Recorder {
        fn write(&mut self, _: BufferId, data: &[f32]) -> Result<()> {
            self.0 = data.iter().map(|word| word.to_bits()).collect();
            Ok(())
        }
        fn start_read(&mut self, _: BufferId) -> Result<Pending> {
            Ok(Pending(0))
        }
        fn finish_read(&mut self, _: Pending) -> Result<Vec<f32>> {
            Ok(Vec::new())
        }
        fn run(&mut self, _: Span) -> Result<()> {
            Ok(())
        }
        fn wait(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_arrive_as_they_are_wherever_they_begin() {
        // Among them are the words of signalling NaNs.
        let bytes: Vec<u8> = (0..65).map(|i| [0xff, 0x7f, 0x80, i][i as usize % 4]).collect();
        for start in 0..4 {
            let mut recorder = Recorder::default();
            let part = &bytes[start..start + 60];
            write_words(&mut recorder, BufferId(0), part).unwrap();
            let expected: Vec<u32> =
                part.as_chunks().0.iter().map(|&word| u32::from_ne_bytes(word)).collect();
            assert_eq!(recorder.0, expected, "{start}");
        }
        assert!(write_words(&mut Recorder::default(), BufferId(0), &bytes[..61]).is_err());
    }
}
