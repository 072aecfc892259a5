//! The mark beside a copy that names the boot of the machine in which it is being written, as [`Trust`](crate::disk::Trust)
//! has one in a directory that one process has for itself: what was not synced in an earlier boot may be there in part.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use fluss_rpc::sync::Mutex;

const NAME: &str = "written";
const CLEAN: &str = "clean";
/// Where boots have no names: what was not synced is not trusted.
const NO_BOOT: &str = "unknown";

/// The mark beside a copy.
#[derive(Debug)]
pub(super) struct Mark {
    directory: PathBuf,
    boot: Option<String>,
    /// What this process has written there.
    written: Mutex<Option<&'static str>>,
}

impl Mark {
    pub(super) fn new(directory: &Path) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            directory: directory.to_owned(),
            boot: boot
                .map(|boot| boot.trim().to_owned())
                .filter(|boot| !boot.is_empty()),
            written: Mutex::default(),
        }
    }

    /// Whether the file beside the mark is what was last written.
    pub(super) fn holds(&self) -> io::Result<bool> {
        match fs::read_to_string(self.directory.join(NAME)) {
            Ok(mark) => Ok(mark == CLEAN || self.boot.as_ref() == Some(&mark)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file is about to be written to. Further calls cost nothing.
    pub(super) fn set_dirty(&self) -> io::Result<()> {
        let is_clean = || {
            let mark = fs::read_to_string(self.directory.join(NAME));
            mark.is_ok_and(|mark| mark == CLEAN)
        };
        // A mark that a power cut takes away, or leaves in part, is no harm: only a clean one must not come back.
        self.put("dirty", self.boot.as_deref().unwrap_or(NO_BOOT), is_clean)
    }

    /// The file is on the disk.
    pub(super) fn set_clean(&self) -> io::Result<()> {
        self.put(CLEAN, CLEAN, || true)
    }

    fn put(&self, state: &'static str, text: &str, must_last: impl FnOnce() -> bool) -> io::Result<()> {
        let mut written = self.written.lock();
        if *written == Some(state) {
            return Ok(());
        }
        let must_last = must_last();
        let (path, new) = (self.directory.join(NAME), self.directory.join("written.new"));
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        if must_last {
            file.sync_all()?;
        }
        fs::rename(&new, &path)?;
        if must_last {
            File::open(&self.directory)?.sync_all()?;
        }
        *written = Some(state);
        Ok(())
    }
}
