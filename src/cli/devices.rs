//! `striate devices`: the adapters of this machine and the CPU path.

use super::Context;
use super::output::bytes;
use crate::device::cache;
use crate::error::{Result, printable_path};
use crate::gpu::{self, AdapterInfo, Kind};
use clap::Args;
use serde_json::{Value, json};

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  striate devices\n  striate train --device 1\n  striate train --device radeon"
)]
pub(crate) struct DevicesArgs {}

pub(super) fn run(_args: &DevicesArgs, context: &Context) -> Result<u8> {
    let adapters = gpu::adapters();
    let threads = rayon::current_num_threads();
    if context.out.is_json() {
        let list: Vec<Value> = adapters.iter().map(describe).collect();
        context.out.json(&json!({
            "cpu": { "threads": threads, "arch": std::env::consts::ARCH },
            "adapters": list,
            // A folder name need not be text.
            "cache": cache::folder().map(|folder| folder.to_string_lossy().into_owned()),
        }))?;
        return Ok(0);
    }
    context.out.line(&format!("cpu: {threads} threads ({})", std::env::consts::ARCH))?;
    for adapter in &adapters {
        context.out.line(&adapter.to_string())?;
        context.out.line(&format!(
            "   buffers up to {}, bindings up to {}\n   workgroups of {} invocations with {} KiB, subgroups {}-{}",
            bytes(adapter.max_buffer),
            bytes(adapter.max_binding),
            adapter.invocations,
            adapter.workgroup_memory / 1024,
            adapter.subgroup[0],
            adapter.subgroup[1]
        ))?;
        if !adapter.features.is_empty() {
            // Names of features, a few to a line.
            let lines = adapter.features.chunks(4).map(|names| names.join(", "));
            context
                .out
                .line(&format!("   features: {}", lines.collect::<Vec<_>>().join(",\n             ")))?;
        }
        if adapter.kind == Kind::Software {
            context.out.line("   software: used only when named with --device")?;
        }
    }
    if adapters.is_empty() {
        context.out.note(
            "no GPU adapter found; on Debian the packages libvulkan1 and mesa-vulkan-drivers provide Vulkan",
        );
    }
    let cache = cache::folder().map_or("nowhere".into(), |folder| printable_path(&folder).to_string());
    context.out.line(&format!("compiled shaders and tuned tiles are kept in: {cache}"))?;
    Ok(0)
}

fn describe(adapter: &AdapterInfo) -> Value {
    json!({
        "index": adapter.index,
        "name": adapter.name,
        "vendor": adapter.vendor,
        "backend": adapter.backend,
        "kind": adapter.kind.to_string(),
        "driver": adapter.driver,
        "max_binding_bytes": adapter.max_binding,
        "max_buffer_bytes": adapter.max_buffer,
        "workgroup_memory_bytes": adapter.workgroup_memory,
        "invocations": adapter.invocations,
        "storage_buffers": adapter.storage_buffers,
        "subgroup": adapter.subgroup,
        "features": adapter.features,
    })
}
