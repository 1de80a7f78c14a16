//! Compiled shaders, kept between runs (Vulkan's pipeline cache).
#![allow(unsafe_code, reason = "the SAFETY paragraph below")]

use super::cache_store::CacheStore;
use super::progress::{Progress, ProgressListener};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first line of a file; the second names adapter and driver, the third is the SHA-256 of both and of the data,
/// which follow.
const MAGIC: &str = "striate pipelines 1";

/// A larger cache is discarded: it only grows, and unused pipelines in it cannot be identified.
const LONGEST: usize = 64 << 20;

/// The compiled pipelines of a device.
#[derive(Debug)]
pub(super) struct Binaries {
    store: Arc<dyn CacheStore>,
    cache: wgpu::PipelineCache,
    file: String,
    identity: String,
    /// The hash line of the stored file.
    kept: std::sync::Mutex<String>,
    /// How many pipelines had been made at the last save.
    saved: AtomicUsize,
}

impl Binaries {
    /// The stored binaries of this adapter; `None` where the back end has no pipeline cache.
    pub fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        store: Arc<dyn CacheStore>,
        progress: &ProgressListener,
    ) -> Option<Binaries> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let file = format!("{}.bin", wgpu::util::pipeline_cache_key(info)?);
        let identity = [info.name.as_str(), &info.driver, &info.driver_info].join(", ").replace('\n', " ");
        let content = store.load(&file);
        let found = content.as_deref().map(|content| unpack(content, &identity));
        if let Some(Err(Fault::Damaged)) = found {
            let text = format!("cache file {file} is damaged; shaders are compiled again");
            progress.report(Progress::Warning(&text));
        }
        let (kept, data) = match found {
            Some(Ok((hash, data))) => (hash.to_string(), Some(data)),
            _ => (String::new(), None),
        };
        log::info!("pipelines: {} bytes kept as {file}", data.map_or(0, <[u8]>::len));
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("striate"), data, fallback: true };
        // SAFETY: the data are what `PipelineCache::get_data` returned in an earlier run, or nothing. `unpack` gives
        // them out only if the file is complete, was written for an adapter and driver of this name, and has the
        // SHA-256 that was written with it, so no cut, damaged or foreign file gets to a driver. wgpu compares its
        // own header with the adapter and the driver's cache version besides, and starts again (`fallback`) where they
        // differ. A program that can forge a file with its hash writes where the user alone may write (`device::cache` reads
        // nothing that others may write), and could as well replace this program.
        let cache = unsafe { device.create_pipeline_cache(&descriptor) };
        Some(Binaries { store, cache, file, identity, kept: kept.into(), saved: AtomicUsize::new(0) })
    }

    /// The cache that pipelines are created with.
    pub fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Keeps what there is, now that `made` pipelines have been made, if they are twice as many as at the last time:
    /// a program with hundreds of small networks, such as the self-test, is not to write as many files. With `last`,
    /// if they are any more.
    pub fn save(&self, made: usize, last: bool) {
        let saved = self.saved.load(Ordering::Relaxed);
        if made <= saved || (made < 2 * saved && !last) {
            return;
        }
        self.saved.store(made, Ordering::Relaxed);
        let Some(data) = self.cache.get_data() else { return };
        let hash = hash(&self.identity, &data);
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *kept != hash {
            let mut content = format!("{MAGIC}\n{}\n{hash}\n", self.identity).into_bytes();
            content.extend(data);
            self.store.save(&self.file, &content);
            *kept = hash;
        }
    }
}

fn hash(identity: &str, data: &[u8]) -> String {
    let digest = Sha256::new().chain_update(identity).chain_update(b"\n").chain_update(data).finalize();
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why a file is not taken.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// Whole, but of another driver, or too much: nothing to speak of.
    Other,
    Damaged,
}

/// The hash and the data of a file that was kept for `identity`.
fn unpack<'a>(content: &'a [u8], identity: &str) -> Result<(&'a str, &'a [u8]), Fault> {
    let mut parts = content.splitn(4, |&byte| byte == b'\n');
    let mut line = || parts.next().and_then(|part| std::str::from_utf8(part).ok()).ok_or(Fault::Damaged);
    let (magic, found, expected) = (line()?, line()?, line()?);
    let data = parts.next().ok_or(Fault::Damaged)?;
    if magic != MAGIC || hash(found, data) != expected {
        return Err(Fault::Damaged);
    }
    if found == identity && data.len() <= LONGEST { Ok((expected, data)) } else { Err(Fault::Other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(identity: &str, data: &[u8]) -> Vec<u8> {
        let mut content = format!("{MAGIC}\n{identity}\n{}\n", hash(identity, data)).into_bytes();
        content.extend(data);
        content
    }

    #[test]
    fn only_a_whole_file_of_this_adapter_is_taken() {
        let (identity, data) = ("Iris Xe, Mesa 25", b"binary\n\xff\n\x00data");
        let whole = pack(identity, data);
        assert_eq!(unpack(&whole, identity).unwrap().1, data);
        assert_eq!(unpack(&whole, "Iris Xe, Mesa 26"), Err(Fault::Other));
        for length in 0..whole.len() {
            assert_eq!(unpack(&whole[..length], identity), Err(Fault::Damaged), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            assert!(unpack(&other, identity).is_err(), "byte {at}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(unpack(&longer, identity), Err(Fault::Damaged));
    }
}
