//! What is made of files, and made again when they have changed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::sync::Mutex;
use tracing::{info, warn};

use super::fault::TlsFault;

/// A value that is made of files. It is made again when one of them has changed; if that fails the last value stays, and
/// a warning says why.
pub(super) struct Renewed<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, TlsFault> + Send + Sync>,
    kept: Mutex<Option<Kept<T>>>,
}

struct Kept<T> {
    value: Arc<T>,
    /// What the files looked like when they were read last, with or without success.
    seen: Vec<Look>,
}

/// By what a change of a file shows; nothing if there is none.
type Look = Option<(Option<SystemTime>, u64, u64)>;

impl<T: Send + Sync + 'static> Renewed<T> {
    pub(super) fn new(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, TlsFault> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            files,
            make: Box::new(make),
            kept: Mutex::new(None),
        })
    }

    /// The value as the files are now. They are looked at on a thread where that may take its time.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<T>, TlsFault> {
        let this = self.clone();
        let looked = tokio::task::spawn_blocking(move || this.look(false)).await;
        looked.unwrap_or_else(|error| Err(TlsFault::Failed(error.to_string())))
    }

    /// The value as the files are now, which blocks. They are read if they have changed, or if `always`.
    pub(super) fn look(&self, always: bool) -> Result<Arc<T>, TlsFault> {
        let mut kept = self.kept.lock();
        // Before they are read: a change that comes meanwhile is seen the next time.
        let seen = self.files.iter().map(look_of).collect();
        match &mut *kept {
            None => {
                let value = Arc::new((self.make)()?);
                *kept = Some(Kept {
                    value: value.clone(),
                    seen,
                });
                Ok(value)
            }
            Some(kept) => {
                if always || kept.seen != seen {
                    kept.seen = seen;
                    match (self.make)() {
                        Ok(value) => {
                            info!(target: crate::TARGET, files = ?self.files, "certificates were read again");
                            kept.value = Arc::new(value);
                        }
                        Err(error) => {
                            warn!(target: crate::TARGET, %error, "certificates cannot be read again: those from before stay");
                        }
                    }
                }
                Ok(kept.value.clone())
            }
        }
    }
}

fn look_of(file: &PathBuf) -> Look {
    let found = fs::metadata(file).ok()?;
    Some((found.modified().ok(), found.len(), number(&found)))
}

/// The number of a file, which is another when it was replaced.
#[cfg(unix)]
fn number(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> u64 {
    0
}
