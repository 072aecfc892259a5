//! Files that a cluster keeps where this machine can open them.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use tokio::task::spawn_blocking;

use super::Part;
use crate::error::StorageError;

/// The bytes of a file in a range, or as many as there are.
pub(super) async fn read(file: &str, path: &str, range: Range<u64>) -> Result<Part, StorageError> {
    let path = path.to_owned();
    let read = spawn_blocking(move || read_range(&path, range)).await;
    let part = read.map_err(io::Error::other).flatten();
    part.map_err(|error| fault(file.to_owned(), &error))
}

fn read_range(path: &str, range: Range<u64>) -> io::Result<Part> {
    let mut file = File::open(path)?;
    let of = file.metadata()?.len();
    file.seek(SeekFrom::Start(range.start))?;
    let length = range.end.min(of).saturating_sub(range.start);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Part {
        bytes: bytes.into(),
        of,
    })
}

fn fault(file: String, error: &io::Error) -> StorageError {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound => StorageError::NotFound { file },
        io::ErrorKind::PermissionDenied => StorageError::Denied { file, reason },
        _ => StorageError::Failed { file, reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_range_is_read_as_far_as_the_file_goes() {
        let directory = std::env::temp_dir().join(format!("fluss-remote-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("a.log").display().to_string();
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read(&path, &path, 3..6).await.unwrap().bytes, "345");
        let part = read(&path, &path, 8..20).await.unwrap();
        assert_eq!((part.bytes, part.of), ("89".into(), 10));
        std::fs::remove_dir_all(&directory).unwrap();
        let error = read(&path, &path, 3..6).await.err();
        assert_eq!(error, Some(StorageError::NotFound { file: path }));
    }
}
