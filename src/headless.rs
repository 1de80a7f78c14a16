//! Suppresses a misleading message of Mesa on machines without a desktop.
//!
//! Mesa's Vulkan layer `VK_LAYER_MESA_device_select` asks the Wayland server which GPU draws the desktop. Without a
//! session (a container, ssh) libwayland then writes `error: XDG_RUNTIME_DIR is invalid or not set in the environment.`
//! to stderr, which looks like an error of this program. An environment variable disables the layer.
#![allow(unsafe_code, reason = "the SAFETY paragraph below")]

/// Disables the layer if there is no desktop session and the user has not configured it.
///
/// Call it first in `main`, before there is a second thread.
pub fn prepare() {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if is_set("XDG_RUNTIME_DIR") || is_set("MESA_VK_DEVICE_SELECT") || is_set("NODEVICE_SELECT") {
        return;
    }
    // SAFETY: the environment may not be changed while another thread reads it. This is called at the very
    // beginning of `main`, when the process has one thread.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") }
}
