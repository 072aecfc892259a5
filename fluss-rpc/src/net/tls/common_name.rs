//! The name of whom a certificate is for.

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// UTF-8, printable and IA5 strings: of those that names consist of, the ones that are UTF-8 as they are.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// `id-at-commonName`, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The common name in the subject of a certificate (DER, RFC 5280 §4.1); nothing if it has none, several, or an empty one.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut fields, _) = element(certificate, SEQUENCE)?;
    if let Some((_, rest)) = element(fields, VERSION) {
        fields = rest;
    }
    // Serial number, signature, issuer, validity.
    for _ in 0..4 {
        (_, _, fields) = any(fields)?;
    }
    let (mut subject, _) = element(fields, SEQUENCE)?;
    let mut found = None;
    while !subject.is_empty() {
        let (mut attributes, rest) = element(subject, SET)?;
        subject = rest;
        while !attributes.is_empty() {
            let (attribute, rest) = element(attributes, SEQUENCE)?;
            attributes = rest;
            let (id, value) = element(attribute, OBJECT_ID)?;
            if id != COMMON_NAME {
                continue;
            }
            let (kind, text, _) = any(value)?;
            if found.is_some() || !TEXTS.contains(&kind) {
                return None;
            }
            found = Some(std::str::from_utf8(text).ok()?);
        }
    }
    found.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The contents of the first element, which has to be of a kind, and what is behind it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (found, contents, rest) = any(bytes)?;
    (found == kind).then_some((contents, rest))
}

/// The kind and the contents of the first element, and what is behind it.
fn any(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, short], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        // The long form; no certificate has more than 16 MiB.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (
                digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)),
                rest,
            )
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((kind, contents, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::common_name;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_has_the_common_name_of_its_subject() {
        let all = [
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "alice müller"),
            (DnType::CountryName, "DE"),
        ];
        assert_eq!(common_name(&certificate(&all)).as_deref(), Some("alice müller"));
        let long = "x".repeat(300);
        let found = common_name(&certificate(&[(DnType::CommonName, &long)]));
        assert_eq!(found, Some(long));
    }

    #[test]
    fn a_certificate_without_one_common_name_has_none() {
        assert_eq!(common_name(&certificate(&[])), None);
        assert_eq!(common_name(&certificate(&[(DnType::CommonName, "")])), None);
        let other = DnType::CustomDnType(vec![2, 5, 4, 4]);
        assert_eq!(common_name(&certificate(&[(other, "alice")])), None);
    }

    #[test]
    fn a_certificate_that_is_cut_has_none() {
        let whole = certificate(&[(DnType::CommonName, "alice")]);
        for bytes in 0..whole.len() {
            assert_eq!(common_name(&whole[..bytes]), None, "{bytes}");
        }
    }
}
