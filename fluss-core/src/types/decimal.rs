use std::fmt;

/// A decimal number: an unscaled integer and the count of its digits after the point.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    // Two halves in place of an i128, whose alignment would make every `Datum` larger by half.
    high: i64,
    low: u64,
    scale: u8,
}

impl Decimal {
    /// The number `unscaled` × 10^-`scale`.
    pub const fn new(unscaled: i128, scale: u8) -> Self {
        Self {
            high: (unscaled >> 64) as i64,
            low: unscaled as u64,
            scale,
        }
    }

    /// All digits as an integer.
    pub const fn unscaled(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }

    /// Digits after the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The same number with another count of digits after the point, or nothing if digits other than 0 would be
    /// lost or the number would need more than 38 digits.
    pub fn rescale(self, scale: u8) -> Option<Self> {
        let unscaled = if scale >= self.scale {
            self.unscaled()
                .checked_mul(10_i128.checked_pow(u32::from(scale - self.scale))?)?
        } else {
            let divisor = 10_i128.checked_pow(u32::from(self.scale - scale))?;
            let unscaled = self.unscaled();
            if unscaled % divisor != 0 {
                return None;
            }
            unscaled / divisor
        };
        let rescaled = Self::new(unscaled, scale);
        rescaled.fits(38).then_some(rescaled)
    }

    /// Whether the unscaled integer has at most `precision` digits.
    pub fn fits(self, precision: u8) -> bool {
        10_u128
            .checked_pow(u32::from(precision))
            .is_none_or(|limit| self.unscaled().unsigned_abs() < limit)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.unscaled().unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if self.high < 0 { "-" } else { "" };
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_the_whole() {
        for unscaled in [
            0,
            1,
            -1,
            i128::from(i64::MAX) + 1,
            i128::from(i64::MIN) - 1,
            i128::MIN,
            i128::MAX,
        ] {
            assert_eq!(Decimal::new(unscaled, 0).unscaled(), unscaled);
        }
    }

    #[test]
    fn prints_as_a_number() {
        assert_eq!(Decimal::new(-5, 2).to_string(), "-0.05");
        assert_eq!(Decimal::new(12_345, 3).to_string(), "12.345");
        assert_eq!(Decimal::new(7, 0).to_string(), "7");
    }

    #[test]
    fn rescaling_never_rounds() {
        assert_eq!(Decimal::new(150, 2).rescale(1), Some(Decimal::new(15, 1)));
        assert_eq!(Decimal::new(155, 2).rescale(1), None);
        assert_eq!(Decimal::new(1, 0).rescale(38), None);
        assert!(Decimal::new(999, 0).fits(3));
        assert!(!Decimal::new(-1000, 0).fits(3));
    }
}
