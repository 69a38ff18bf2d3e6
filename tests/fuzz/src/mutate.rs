//! Inputs that are nearly what is kept: a blind fuzzer with a seed, for test runs.

use fastrand::Rng;

const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b'"'];

/// A relative of one of `inputs`, at most `longest` bytes.
pub fn relative(inputs: &[Vec<u8>], longest: usize, rng: &mut Rng) -> Vec<u8> {
    let any = |rng: &mut Rng| inputs.get(rng.usize(0..inputs.len().max(1)));
    let mut bytes = any(rng).cloned().unwrap_or_default();
    for _ in 0..rng.u32(1..6) {
        let at = rng.usize(0..=bytes.len());
        let to = rng.usize(at..=bytes.len());
        match rng.u32(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u32(0..8),
            1 if at < bytes.len() => bytes[at] = EDGES[rng.usize(0..EDGES.len())],
            2 => drop(bytes.drain(at..to)),
            3 => {
                let again = bytes[at..to].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let other = any(rng).cloned().unwrap_or_default();
                let from = rng.usize(0..=other.len());
                bytes.splice(at..to, other[from..].iter().copied());
            }
            5 => bytes
                .splice(at..at, (0..rng.u32(1..9)).map(|_| rng.u8(..)))
                .for_each(drop),
            _ => bytes.truncate(to),
        }
        bytes.truncate(longest);
    }
    bytes
}
