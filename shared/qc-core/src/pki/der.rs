//! The little DER that the libraries do not write for us: a value with its tag and length, and a
//! reader that walks such values without trusting their lengths.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const CONTEXT_0: u8 = 0xa0;

/// One value: tag, length, content.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag];
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let significant = length.get(zeros..).unwrap_or_default();
    match significant {
        [] => der.push(0),
        [short] if *short < 0x80 => der.push(*short),
        long => {
            der.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            der.extend_from_slice(long);
        }
    }
    der.extend_from_slice(content);
    der
}

/// A value read: its tag, its content, and the whole of it.
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Reads the first value of `bytes` and gives the rest; `None` when it is not complete DER.
pub(super) fn read(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(digits)?;
        let length = digits.iter().fold(0usize, |n, d| n << 8 | usize::from(*d));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    Some((
        Value {
            tag,
            content,
            whole,
        },
        rest,
    ))
}

/// Reads the first value, which must have `tag`.
pub(super) fn expect(bytes: &[u8], tag: u8) -> Option<(Value<'_>, &[u8])> {
    read(bytes).filter(|(value, _)| value.tag == tag)
}

/// Whether `bytes` are exactly one SEQUENCE with nothing behind it.
pub(super) fn is_one_sequence(bytes: &[u8]) -> bool {
    matches!(expect(bytes, SEQUENCE), Some((_, [])))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn round_trips(content in proptest::collection::vec(0u8.., 0..70_000)) {
            let der = tlv(SEQUENCE, &content);
            let (value, rest) = read(&der).unwrap();
            proptest::prop_assert_eq!(value.content, &content[..]);
            proptest::prop_assert_eq!(value.whole, &der[..]);
            proptest::prop_assert!(rest.is_empty());
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(0u8.., 0..64)) {
            let _any = read(&bytes).is_some();
        }
    }

    #[test]
    fn trailing_bytes_are_seen() {
        let mut der = tlv(SEQUENCE, b"x");
        assert!(is_one_sequence(&der));
        der.push(0);
        assert!(!is_one_sequence(&der));
    }
}
