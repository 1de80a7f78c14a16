//! `args.toml`: the options of a run. The table `[options]` is read back when the run is resumed; the keys above it are for
//! people.

use super::environment::Environment;
use super::folder::RunFolder;
use super::options::RunOptions;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference;
use crate::model::Spec;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;

/// The tables of options in `args.toml`.
const OPTIONS: &str = "options";
const PROGRAM: &str = "program";

#[derive(Serialize)]
struct Description<'a> {
    program: &'a toml::Table,
    options: &'a RunOptions,
}

impl RunOptions {
    /// The text of `args.toml` of a run of `spec` on `device`.
    pub(super) fn description(&self, spec: &Spec, device: &Device, environment: &dyn Environment) -> String {
        let mut table = toml::Table::new();
        table.insert("striate".into(), env!("CARGO_PKG_VERSION").into());
        table.insert("model".into(), self.model.clone().unwrap_or_else(|| spec.name.clone()).into());
        table.insert("device".into(), device.long_name().into());
        table.insert("recipe".into(), inference::table(&spec.recipe).into());
        let program = environment.program_options();
        let options =
            toml::Table::try_from(Description { program: &program, options: self }).map(|mut tables| {
                // The numbers in these two are all f32.
                let options = tables.get_mut(OPTIONS).and_then(toml::Value::as_table_mut);
                for (_, table) in options
                    .into_iter()
                    .flatten()
                    .filter(|(key, _)| ["recipe", "data"].contains(&key.as_str()))
                {
                    shorten(table);
                }
                tables.to_string()
            });
        let options = options.unwrap_or_else(|error| {
            // A path that is not UTF-8.
            environment.note(&format!(
                "warning: args.toml cannot store the options of this run ({error}); pass all of them to resume it"
            ));
            String::new()
        });
        format!("{table}\n{options}")
    }

    /// The options that the run in `folder` was started with, or last resumed with; `None` if its `args.toml` is missing or
    /// of a version that kept none.
    ///
    /// # Errors
    /// [`Error::Data`] if the table is damaged, has a key that this version does not know, or a value out of its range.
    pub fn of_folder(folder: &Path) -> Result<Option<RunOptions>> {
        let Some(mut table) = table(folder)? else { return Ok(None) };
        let Some(options) = table.remove(OPTIONS) else { return Ok(None) };
        let bad =
            |e: toml::de::Error| Error::data(folder.join("args.toml"), format!("{OPTIONS}: {}", e.message()));
        let options = RunOptions::deserialize(options).map_err(bad)?;
        let wrong = |what: String| Error::data(folder.join("args.toml"), format!("{OPTIONS}.{what}"));
        options.train.check().map_err(|what| wrong(format!("train.{what}")))?;
        Ok(Some(options))
    }
}

/// Writes every number in `value`, an `f32`, as its shortest decimal: 0.2 instead of 0.20000000298023224, which is the same.
fn shorten(value: &mut toml::Value) {
    match value {
        toml::Value::Float(number) => *number = (*number as f32).to_string().parse().unwrap_or(*number),
        toml::Value::Array(values) => values.iter_mut().for_each(shorten),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| shorten(value)),
        _ => {}
    }
}

/// The keys that the program added to the `args.toml` of the run in `folder`.
pub fn program_options(folder: &Path) -> Result<toml::Table> {
    let found = table(folder)?.and_then(|mut table| table.remove(PROGRAM));
    match found {
        None => Ok(toml::Table::new()),
        Some(toml::Value::Table(program)) => Ok(program),
        Some(_) => Err(Error::data(folder.join("args.toml"), format!("{PROGRAM}: expected a table"))),
    }
}

/// The content of `args.toml`; `None` if there is none.
pub(super) fn table(folder: &Path) -> Result<Option<toml::Table>> {
    let text = match RunFolder::description(folder) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let bad = |e: toml::de::Error| Error::data(folder.join("args.toml"), e.message().to_string());
    text.parse().map(Some).map_err(bad)
}
