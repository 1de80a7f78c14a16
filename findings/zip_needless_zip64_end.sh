#!/usr/bin/env bash
# The crate `zip` does not open an archive whose first name has 30 letters and which has a Zip64 end that it does not need.
#
# One would guess: whether an archive can be opened does not depend on the length of its first name; a Zip64 end of the directory
#   may stand in any archive (the format allows it), and PyTorch writes one into each file of torch.save.
# What happens: zip 9.5.1 looks for the start of the directory at the end record minus the directory's size. With a Zip64 end and its
#   locator (76 bytes) between them that is 76 bytes too far, where the second entry lies if the first one is 46 + 30 bytes long:
#   then ZipArchive::new fails. With 29 or 31 letters it succeeds, and with `ArchiveOffset::Known(0)` always.
# Who meets it: whoever reads with this crate what torch.save wrote to a name with a stem of 21 letters (its first entry is
#   `<stem>/data.pkl`). Striate opens archives with a known offset (src/interchange/archive.rs).
#
# usage: findings/zip_needless_zip64_end.sh        (cargo, python3; network)
# Exit status: 0 as described, 1 otherwise, 2 something needed is missing.
set -euo pipefail

ZIP=9.5.1

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
command -v cargo >/dev/null || { echo "cargo is needed" >&2; exit 2; }
command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 2; }
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<TOML
[package]
name = "open"
version = "0.0.0"
edition = "2021"

[dependencies]
zip = { version = "=$ZIP", default-features = false }
TOML
cat >"$folder/src/main.rs" <<'RUST'
use std::fs::File;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

fn main() {
    for name in std::env::args().skip(1) {
        let open = || File::open(&name).expect("the file is there");
        let plain = ZipArchive::new(open()).map(|archive| archive.len()).map_err(|error| error.to_string());
        let config = Config { archive_offset: ArchiveOffset::Known(0), ..Config::default() };
        let known = ZipArchive::with_config(config, open()).map(|archive| archive.len()).map_err(|error| error.to_string());
        println!("new: {plain:?}; offset known: {known:?}");
    }
}
RUST
python3 - "$folder" <<'PYTHON'
import sys
import zipfile

# The Zip64 end is written when there are more files than this.
zipfile.ZIP_FILECOUNT_LIMIT = 0
for letters in [29, 30, 31]:
    path = f"{sys.argv[1]}/{letters}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a" * letters, b"first")
        archive.writestr("second", b"second")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None and archive.read("second") == b"second"
PYTHON
(cd "$folder" && cargo build --quiet) || { echo "zip $ZIP could not be built" >&2; exit 2; }
echo "zip $ZIP, first name of 29, 30 and 31 letters; Python's zipfile reads all three"
"$folder/target/debug/open" "$folder/29.zip" "$folder/30.zip" "$folder/31.zip" | tee "$folder/output"
good='new: Ok(2); offset known: Ok(2)'
[ "$(sed -n 1p "$folder/output")" = "$good" ] && [ "$(sed -n 3p "$folder/output")" = "$good" ] || exit 1
grep -q '^new: Err(.*); offset known: Ok(2)$' <(sed -n 2p "$folder/output") || exit 1
