//! What names and passwords the users of an embedded node may have.

use crate::types::InvalidDefinition;

/// The longest name of a user, in bytes.
pub const MAX_USER_NAME_BYTES: usize = 255;
/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Checks the name of a user: a line of a users file has to hold it, and SASL PLAIN to send it.
///
/// # Errors
///
/// An empty or a long name, one that begins or ends with space or begins with `#`, or one with a colon or a control character
/// in it.
pub fn check_user_name(name: &str) -> Result<(), InvalidDefinition> {
    let reason = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > MAX_USER_NAME_BYTES {
        // What is too long to be a name is not repeated.
        let reason = format!(
            "the name of a user has {} bytes, {MAX_USER_NAME_BYTES} are allowed",
            name.len()
        );
        return Err(InvalidDefinition::new(reason));
    } else if name.trim() != name {
        "it begins or ends with space".to_owned()
    } else if name.starts_with('#') {
        "it begins with '#'".to_owned()
    } else if let Some(bad) = name.chars().find(|c| c.is_control() || *c == ':') {
        format!("{bad:?} is not allowed")
    } else {
        return Ok(());
    };
    Err(InvalidDefinition::new(format!("user {name:?}: {reason}")))
}

/// Checks the password of a user. The error does not repeat it.
///
/// # Errors
///
/// An empty or a long password, or one with a NUL in it.
pub fn check_password(password: &str) -> Result<(), InvalidDefinition> {
    let reason = if password.is_empty() {
        "the password is empty".to_owned()
    } else if password.len() > MAX_PASSWORD_BYTES {
        format!(
            "the password has {} bytes, {MAX_PASSWORD_BYTES} are allowed",
            password.len()
        )
    } else if password.contains('\0') {
        "the password has a NUL in it".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidDefinition::new(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_can_be_sent_and_kept() {
        for name in ["a", "jürgen", "a b", "a#b", "User*", &"ü".repeat(127)] {
            assert_eq!(check_user_name(name), Ok(()), "{name:?}");
        }
        for password in ["a", " ", "a:b#c", "\n", &"ü".repeat(512)] {
            assert_eq!(check_password(password), Ok(()), "{password:?}");
        }
        let of_name = |name: &str| check_user_name(name).unwrap_err().to_string();
        for (name, reason) in [
            ("", r#"user "": it is empty"#),
            (" a", r#"user " a": it begins or ends with space"#),
            ("a\t", r#"user "a\t": it begins or ends with space"#),
            ("#a", r##"user "#a": it begins with '#'"##),
            ("a:b", r#"user "a:b": ':' is not allowed"#),
            ("a\0b", r#"user "a\0b": '\0' is not allowed"#),
            ("a\nb", r#"user "a\nb": '\n' is not allowed"#),
        ] {
            assert_eq!(of_name(name), reason);
        }
        assert_eq!(
            of_name(&"n".repeat(256)),
            "the name of a user has 256 bytes, 255 are allowed"
        );
        let of_password = |password: &str| check_password(password).unwrap_err().to_string();
        assert_eq!(of_password(""), "the password is empty");
        assert_eq!(of_password("se\0cret"), "the password has a NUL in it");
        assert_eq!(
            of_password(&"p".repeat(1_025)),
            "the password has 1025 bytes, 1024 are allowed"
        );
    }
}
