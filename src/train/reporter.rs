//! The way of every event: to the logs of the store and to the observer.

use super::event::{Event, Observer};
use super::store::Store;
use crate::error::Result;

/// Reports the events of a run.
pub(super) struct Reporter<'a> {
    pub observer: &'a mut dyn Observer,
    /// Warnings to report at the start.
    pub notices: Vec<String>,
    /// Whether the log has the beginning of the run already.
    pub is_resumed: bool,
    /// Whether the start of a resumed run is logged all the same, since it says something new (more epochs).
    pub has_news: bool,
    /// Whether the last line could not be written to the log.
    is_silent: bool,
}

impl<'a> Reporter<'a> {
    pub fn new(observer: &'a mut dyn Observer) -> Self {
        Reporter { observer, notices: Vec::new(), is_resumed: false, has_news: false, is_silent: false }
    }

    /// Reports `event` to the logs of `store` and to the observer.
    pub fn report(&mut self, store: Option<&mut (dyn Store + '_)>, event: Event) -> Result<()> {
        if let Some(store) = store {
            let recorded = store.record(&event);
            let was_silent = std::mem::replace(&mut self.is_silent, recorded.is_err());
            // The line is written with the next one. A checkpoint is not written without it, so this ends.
            if let (Err(error), false) = (recorded, was_silent) {
                let text = format!("{error}: not written yet; the run continues and tries again");
                self.observer.event(&Event::Warning(text))?;
            }
        }
        self.observer.event(&event)
    }

    /// Reports what comes before the first step. The log of a resumed run has `beginning` already.
    pub fn begin(
        &mut self,
        mut store: Option<&mut (dyn Store + '_)>,
        beginning: impl IntoIterator<Item = Event>,
    ) -> Result<()> {
        for event in beginning {
            let is_known = self.is_resumed && !(self.has_news && matches!(event, Event::Start(_)));
            if is_known {
                self.observer.event(&event)?;
            } else {
                self.report(store.as_deref_mut(), event)?;
            }
        }
        let notices = std::mem::take(&mut self.notices);
        notices.into_iter().try_for_each(|text| self.observer.event(&Event::Warning(text)))
    }
}
