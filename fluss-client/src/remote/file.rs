//! What the name of a file says of the place where it is.

/// Where a file is.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Place<'a> {
    /// A path of this machine.
    Path(&'a str),
    /// An object of a bucket of S3.
    S3 { bucket: &'a str, key: &'a str },
}

impl<'a> Place<'a> {
    /// Reads a path, or a URI of the scheme `file`, `s3` or `s3a`.
    pub(super) fn of(file: &'a str) -> Result<Self, String> {
        let Some((scheme, rest)) = file.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return path(file);
        };
        match scheme {
            // The name of a host stands between two slashes and the path. It is empty.
            "file" => path(rest.strip_prefix("//").unwrap_or(rest)),
            "s3" | "s3a" => object(rest),
            _ => Err(format!("scheme '{scheme}' is neither file nor s3")),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn path(path: &str) -> Result<Place<'_>, String> {
    if path.starts_with('/') {
        Ok(Place::Path(path))
    } else {
        Err("the path does not begin at the root".to_owned())
    }
}

fn object(rest: &str) -> Result<Place<'_>, String> {
    let parts = rest.strip_prefix("//").and_then(|rest| rest.split_once('/'));
    match parts {
        Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Place::S3 { bucket, key }),
        _ => Err("neither a bucket nor a key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_uris_are_told_apart() {
        for (file, path) in [
            ("/data/a.log", "/data/a.log"),
            ("file:/data/a.log", "/data/a.log"),
            ("file:///data/a.log", "/data/a.log"),
            ("/data/a:b/c.log", "/data/a:b/c.log"),
        ] {
            assert_eq!(Place::of(file), Ok(Place::Path(path)), "{file}");
        }
        for file in ["s3://logs/fluss/log/a.log", "s3a://logs/fluss/log/a.log"] {
            let (bucket, key) = ("logs", "fluss/log/a.log");
            assert_eq!(Place::of(file), Ok(Place::S3 { bucket, key }), "{file}");
        }
        for file in [
            "",
            "a.log",
            "hdfs://h/a.log",
            "s3://logs",
            "s3:///a.log",
            "s3:logs/a.log",
            "file://h/a.log",
        ] {
            assert!(Place::of(file).is_err(), "{file}");
        }
    }
}
