//! Configuration: options by their keys (`descriptors.md` §9), and where targets lead.

mod keys;
mod options;
mod settings;
mod target;
mod text;
mod values;

pub use keys::{KEYS, Key, Kind};
pub use options::{
    Acks, BucketAssigner, ClientOptions, DiscoveryOptions, NodePreference, ReadPreference, RemoteOptions,
    S3AccessKey, S3Options, ScannerOptions, WriterOptions,
};
pub use settings::InvalidConfig;
pub use target::{InvalidTarget, Target};

use fluss_rpc::net::without_login;
use keys::{Known, TARGET, canonical, fold, nearest};
use settings::{Settings, fault};
use text::Parts;

/// Checks a key and its value, and returns the key under which this client knows it, with the value.
///
/// # Errors
///
/// A key that there is not, or a value that it does not take.
pub fn check(key: &str, value: &str) -> Result<(String, String), InvalidConfig> {
    let mut settings = Settings::new();
    if canonical(key) == Some(TARGET) {
        connect(&mut settings, value)?;
        return Ok((TARGET.to_owned(), value.to_owned()));
    }
    apply(&mut settings, key, value)?;
    let (name, value) = match Known::find(key) {
        Some(known) => (known.name, known.value(value)),
        None => (key.strip_prefix("client.").unwrap_or(key), value.to_owned()),
    };
    Ok((format!("client.{name}"), value))
}

/// What a connection string says, as options by their keys: where it leads is `bootstrap.servers`, whose text then has nothing
/// else in it.
///
/// # Errors
///
/// As of [`read`], but for options that do not go together.
pub fn options_of(text: &str) -> Result<Vec<(String, String)>, InvalidConfig> {
    connect(&mut Settings::new(), text)
}

/// Where environment variables lead, and with which options: `FLUSS_TARGET` is a connection string, and
/// `FLUSS_REQUEST_TIMEOUT` the option `request-timeout`, and so on. Pairs for [`read`]. Variables that begin with `FLUSS_` and
/// are no option are other programs'.
///
/// # Errors
///
/// There is no `FLUSS_TARGET`, or it is empty.
pub fn environment<K: AsRef<str>, V: AsRef<str>>(
    variables: impl IntoIterator<Item = (K, V)>,
) -> Result<Vec<(String, String)>, InvalidConfig> {
    const PREFIX: &str = "FLUSS_";
    let mut pairs = Vec::new();
    for (name, value) in variables {
        let Some(key) = name.as_ref().strip_prefix(PREFIX) else {
            continue;
        };
        let known = if key == "TARGET" {
            Some(TARGET)
        } else {
            canonical(key)
        };
        if let Some(known) = known.filter(|_| !value.as_ref().is_empty()) {
            pairs.push((known.to_owned(), value.as_ref().to_owned()));
        }
    }
    if pairs.iter().any(|(key, _)| key == TARGET) {
        return Ok(pairs);
    }
    Err(fault(
        "nothing says where to connect: give a connection string such as 'fluss://host:9123', or set FLUSS_TARGET",
    ))
}

/// A connection string as it may be shown: without a user, a password or another secret.
pub fn without_secrets(text: &str) -> String {
    let shown = without_login(text);
    let part = |part: &str| {
        let (option, separator) = match part.strip_suffix(['?', '&']) {
            Some(option) => part.split_at(option.len()),
            None => (part, ""),
        };
        match option.split_once('=') {
            // What is behind a second '=' may be an option whose '&' was forgotten.
            Some((key, value))
                if value.contains('=')
                    || Known::find(key)
                        .and_then(|known| known.row)
                        .is_none_or(|row| row.kind() == Kind::Secret) =>
            {
                format!("{key}=***{separator}")
            }
            _ => part.to_owned(),
        }
    };
    shown.split_inclusive(['?', '&']).map(part).collect()
}

/// Where a configuration leads, and the options that it means.
///
/// ```
/// use fluss_client::config;
///
/// let pairs = [("bootstrap.servers", "localhost:9123"), ("writer.batch-timeout", "20 ms")];
/// let (target, options) = config::read(pairs)?;
/// assert_eq!(target, "fluss://localhost:9123".parse()?);
/// assert_eq!(options.writer.linger.as_millis(), 20);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A key that there is not, a value that it does not take, options that do not go together, or no `bootstrap.servers`.
pub fn read<K: AsRef<str>, V: AsRef<str>>(
    pairs: impl IntoIterator<Item = (K, V)>,
) -> Result<(Target, ClientOptions), InvalidConfig> {
    let mut settings = Settings::new();
    let pairs: Vec<(K, V)> = pairs.into_iter().collect();
    // What is said beside a connection string wins over what it says.
    let is_target = |pair: &&(K, V)| canonical(pair.0.as_ref()) == Some(TARGET);
    for (_, text) in pairs.iter().filter(is_target) {
        connect(&mut settings, text.as_ref())?;
    }
    for (key, value) in pairs.iter().filter(|pair| !is_target(pair)) {
        apply(&mut settings, key.as_ref(), value.as_ref())?;
    }
    settings.finish()
}

/// Takes what a connection string says, and returns it as options by their keys.
fn connect(settings: &mut Settings, text: &str) -> Result<Vec<(String, String)>, InvalidConfig> {
    let wrong = |reason: String| fault(format!("connection string: {reason}"));
    let parts = Parts::read(text).map_err(|error| fault(error.to_string()))?;
    let mut pairs = vec![(TARGET.to_owned(), parts.target.to_string())];
    let mut said = |key: &str, value: String| pairs.push((key.to_owned(), value));
    if let Some(database) = parts.database {
        said("database", database);
    }
    if let Some((username, password)) = parts.login {
        said("security.protocol", "SASL".to_owned());
        said("security.sasl.username", username);
        said("security.sasl.password", password);
    }
    for (key, value) in pairs.iter().skip(1) {
        apply(settings, key, value).map_err(|error| wrong(error.to_string()))?;
    }
    for (key, value) in parts.options {
        let known = Known::find(&key);
        let name = known.as_ref().map_or(key.as_str(), |known| known.name);
        if name == TARGET {
            return Err(wrong(format!(
                "it says itself where to connect; '{key}' has no place in it"
            )));
        }
        // Who logs in by it may say so as well.
        let is_given = |pair: &(String, String)| pair.0 == name && name != "security.protocol";
        if pairs.iter().any(is_given) {
            return Err(wrong(format!("'{name}' is given twice")));
        }
        apply(settings, &key, &value).map_err(|error| {
            // It may be the rest of the string, whose '&' was forgotten.
            if value.contains('=') {
                return wrong(format!(
                    "option '{key}': there is an '=' in its value, and an '&' before the next option"
                ));
            }
            wrong(error.to_string())
        })?;
        let in_its_unit = known.as_ref().map(|known| known.value(&value));
        pairs.push((name.to_owned(), in_its_unit.unwrap_or(value)));
    }
    settings.check_place(&parts.target).map_err(wrong)?;
    settings.target = Some(parts.target);
    Ok(pairs)
}

fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), InvalidConfig> {
    if let Some(known) = Known::find(key) {
        let set = |row: &Key| (row.set)(settings, &known.value(value));
        let set = known.row.map_or(Ok(()), set);
        return set.map_err(|reason| fault(format!("option '{key}': {reason}")));
    }
    let folded = fold(key);
    if folded.starts_with("netty") {
        return Ok(());
    }
    let is_secret = |row: &&Key| row.kind() == Kind::Secret && folded.starts_with(&fold(row.name()));
    if let Some(secret) = KEYS.iter().find(is_secret) {
        return Err(fault(format!(
            "behind '{}' stands an '=', and then the secret",
            secret.name()
        )));
    }
    Err(fault(match nearest(key) {
        Some(near) => format!("there is no option '{key}'; did you mean '{near}'?"),
        None => format!("there is no option '{key}'"),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fluss_rpc::net::tls::TlsOptions;

    use super::keys::WITHOUT_EFFECT;
    use super::*;

    #[test]
    fn the_defaults_of_keys_are_those_of_options() {
        let mut settings = Settings::new();
        for key in KEYS {
            if let Some(default) = key.default() {
                apply(&mut settings, key.name(), default).unwrap();
            }
        }
        let options = ClientOptions::new([]);
        assert_eq!(format!("{:?}", settings.options), format!("{options:?}"));
        assert!(!settings.sasl);
    }

    #[test]
    fn a_key_may_be_written_as_other_clients_do() {
        for (key, value) in [
            ("request-timeout", "3 s"),
            ("client.request-timeout", "3 s"),
            ("client.request-timeout-ms", "3000"),
            ("requestTimeout", "3s"),
            ("REQUEST_TIMEOUT", "3 s"),
            ("client.requestTimeoutMs", "3000"),
        ] {
            let (_, options) = read([("bootstrap.servers", "h:1"), (key, value)]).unwrap();
            assert_eq!(options.request_timeout, Duration::from_secs(3));
            assert_eq!(check(key, value).unwrap().0, "client.request-timeout");
        }
        let (key, _) = check("netty.client.num-network-threads", "4").unwrap();
        assert_eq!(key, "client.netty.client.num-network-threads");
    }

    #[test]
    fn keys_of_other_clients_are_taken_as_they_write_them() {
        for key in [
            "client.writer.buffer.wait-timeout",
            "writer.buffer.wait-timeout-ms",
            "writerBufferWaitTimeoutMs",
        ] {
            let (known, _) = check(key, "77").unwrap();
            assert_eq!(known, "client.writer.buffer.wait-timeout");
        }
        assert!(check("writer.buffer.wait-timeouts", "77").is_err());
    }

    /// Strings with what they say as options, or why they are refused. Python's tests read them, too.
    const STRINGS: &str = include_str!("strings.json");

    #[derive(serde::Deserialize)]
    struct Case {
        string: String,
        is: Option<std::collections::BTreeMap<String, String>>,
        refused: Option<String>,
    }

    #[test]
    fn connection_strings_say_what_their_table_says() {
        let cases: Vec<Case> = serde_json::from_str(STRINGS).unwrap();
        assert!(cases.len() >= 145);
        for Case { string, is, refused } in cases {
            let found = options_of(&string);
            let Some(is) = is else {
                assert_eq!(found.unwrap_err().to_string(), refused.unwrap(), "{string}");
                continue;
            };
            let found: std::collections::BTreeMap<_, _> = found.unwrap().into_iter().collect();
            assert_eq!(found, is, "{string}");
            let (target, options) = read([(TARGET, &string)]).unwrap();
            let (same_target, same_options) = read(&is).unwrap();
            assert_eq!(target, same_target, "{string}");
            assert_eq!(format!("{options:?}"), format!("{same_options:?}"), "{string}");
            assert_eq!(target.to_string().parse(), Ok(target), "{string}");
        }
    }

    #[test]
    fn what_is_said_beside_a_connection_string_wins() {
        let text = "fluss://h:1?requestTimeout=5s&writerAcks=all";
        for pairs in [
            [(TARGET, text), ("request-timeout", "7 s")],
            [("request-timeout", "7 s"), (TARGET, text)],
        ] {
            let (_, options) = read(pairs).unwrap();
            assert_eq!(options.request_timeout, Duration::from_secs(7));
        }
    }

    /// The row of a key on the page that tells users of connection strings.
    fn row_of_page(key: &Key) -> String {
        let values = match key.kind() {
            Kind::Target => "a connection string".to_owned(),
            Kind::Duration => "a duration".to_owned(),
            Kind::Millis => "a duration, in ms".to_owned(),
            Kind::Seconds => "a duration, in s".to_owned(),
            Kind::Size => "a size".to_owned(),
            Kind::Number => "a number".to_owned(),
            Kind::Boolean => "`true`, `false`".to_owned(),
            Kind::Text => "a text".to_owned(),
            Kind::Secret => "a secret".to_owned(),
            Kind::OneOf(all) => all
                .iter()
                .map(|one| format!("`{one}`"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let default = key
            .default()
            .map_or_else(String::new, |default| format!("`{default}`"));
        format!(
            "| `{}` | {values} | {default} | {} |\n",
            key.name(),
            key.meaning()
        )
    }

    #[test]
    fn the_page_lists_every_option() {
        const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/connection-strings.md");
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once("writes them. -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        let rows: String = KEYS.iter().skip(1).map(row_of_page).collect();
        let head = "| option | values | default | what it is for |\n|---|---|---|---|\n";
        let made = format!("{before}writes them. -->\n{head}{rows}<!-- end -->{after}");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(PAGE, &made).unwrap();
        }
        assert_eq!(page, made);
    }

    #[test]
    fn no_two_keys_are_written_alike() {
        let mut names: Vec<_> = KEYS.iter().map(|key| fold(key.name())).collect();
        names.extend(WITHOUT_EFFECT.iter().map(|key| fold(key)));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_environment_says_where_to_connect() {
        let variables = [
            ("PATH", "/bin"),
            ("FLUSS_TARGET", "fluss://h:1/shop"),
            ("FLUSS_REQUEST_TIMEOUT", "5 s"),
            ("FLUSS_HOME", "/opt/fluss"),
            ("FLUSS_DEFAULT_DEADLINE", ""),
        ];
        let (target, options) = read(environment(variables).unwrap()).unwrap();
        assert_eq!(target.to_string(), "fluss://h:1");
        assert_eq!(options.database.as_deref(), Some("shop"));
        assert_eq!(options.request_timeout, Duration::from_secs(5));
        let error = environment(variables.into_iter().skip(2))
            .unwrap_err()
            .to_string();
        assert!(error.contains("FLUSS_TARGET"), "{error}");
    }

    proptest::proptest! {
        /// Whatever is broken in a string, nobody sees its password, and nothing panics.
        #[test]
        fn no_message_shows_a_password(
            edits in proptest::collection::vec((0..120_usize, "[@:/?&=%,#+\\[\\] a1]{0,2}", 0..3_usize), 0..4),
            form in 0..4_usize,
        ) {
            const SECRET: &str = "S3CRETS3CRET";
            let mut text: Vec<char> = [
                "fluss://alice:S3CRETS3CRET@h1:9123,[::1]:9123/shop?requestTimeout=5s&writerAcks=all",
                "fluss+discover://alice:S3CRETS3CRET@h1/shop",
                "fluss://h1:9123?securityProtocol=SASL&securitySaslUsername=a&securitySaslPassword=S3CRETS3CRET",
                "h1:9123?remote.s3.secret-key=S3CRETS3CRET&remote.s3.access-key=a&x=y",
            ][form].chars().collect();
            for (place, put, cut) in edits {
                let place = place.min(text.len());
                let end = (place + cut).min(text.len());
                // The secret stays whole, or nobody could look for it.
                let (before, after): (String, String) = (text[..place].iter().collect(), text[end..].iter().collect());
                if format!("{before}{put}{after}").contains(SECRET) {
                    text = format!("{before}{put}{after}").chars().collect();
                }
            }
            let text: String = text.into_iter().collect();
            // Without what marks it, it may be anything.
            let is_of_login = text.contains(":S3CRETS3CRET");
            let is_of_option = text.contains("=S3CRETS3CRET");
            if let Err(error) = read([(TARGET, &text)]) {
                assert!(!(is_of_login || is_of_option) || !error.to_string().contains(SECRET), "{text}: {error}");
            }
            if text.contains(":S3CRETS3CRET@") || is_of_option {
                assert!(!without_secrets(&text).contains(SECRET), "{text}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let refusal = |pairs: &[(&str, &str)]| read(pairs.iter().copied()).unwrap_err().to_string();
        assert_eq!(refusal(&[]), "option 'bootstrap.servers' is missing");
        assert_eq!(
            refusal(&[("request-timeuot", "3 s")]),
            "there is no option 'request-timeuot'; did you mean 'request-timeout'?"
        );
        assert_eq!(
            refusal(&[("request-timeout", "3")]),
            "option 'request-timeout': '3' has no unit; say '10 s' or '500 ms'"
        );
        assert_eq!(
            refusal(&[("bootstrap.servers", "h:1"), ("security.sasl.username", "u")]),
            "a user name or a password has no effect without 'client.security.protocol': 'SASL'"
        );
        for file in ["tls-ca-file", "user-cert-file", "user-key-file"] {
            let told = refusal(&[("bootstrap.servers", "h:1"), (file, "f")]);
            assert!(
                told.ends_with("has no effect without 'client.tls': 'true'"),
                "{told}"
            );
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn tls_is_asked_for_with_its_files() {
        let with = |pairs: &[(&str, &str)]| {
            let tls = [("bootstrap.servers", "h:1"), ("tls", "true")];
            read(tls.iter().chain(pairs).copied()).map(|(_, options)| options.tls)
        };
        assert_eq!(with(&[]), Ok(Some(TlsOptions::default())));
        let files = [
            ("client.tls-ca-file", "ca"),
            ("user-cert-file", "cert"),
            ("user-key-file", "key"),
        ];
        let mut expected = TlsOptions::default();
        expected.ca_file = Some("ca".into());
        expected.cert_file = Some("cert".into());
        expected.key_file = Some("key".into());
        assert_eq!(with(&files), Ok(Some(expected)));
        let told = with(&[("user-cert-file", "cert")]).unwrap_err().to_string();
        assert_eq!(
            told,
            "user-cert-file needs user-key-file, the key of the certificate"
        );
    }

    #[test]
    #[cfg(not(feature = "tls"))]
    fn a_client_without_tls_says_so() {
        let told = read([("bootstrap.servers", "h:1"), ("tls", "true")]).unwrap_err();
        assert_eq!(
            told.to_string(),
            "tls: this client was built without it, the feature 'tls' of fluss-client"
        );
    }
}
