//! A key's fingerprint in six words, to be read aloud over a telephone: 48 bits of its SHA-256.

const WORDS: [&str; 256] = [
    "acid", "acorn", "actor", "agent", "alarm", "album", "alley", "almond", "amber", "anchor",
    "angle", "ankle", "apple", "arch", "arena", "armor", "arrow", "aspen", "atlas", "attic",
    "autumn", "axle", "bacon", "badge", "bagel", "bamboo", "banjo", "barley", "basil", "basin",
    "beach", "beacon", "beaver", "bench", "berry", "birch", "bishop", "blanket", "blossom", "bolt",
    "bonus", "border", "bottle", "bracket", "branch", "brass", "bread", "bridge", "bronze",
    "broom", "bucket", "buffalo", "bundle", "butter", "button", "cabin", "cable", "cactus",
    "camel", "camera", "candle", "canoe", "canvas", "carbon", "cargo", "carpet", "castle", "cedar",
    "cement", "chain", "chalk", "cherry", "chess", "cinema", "circle", "citrus", "clover",
    "cobalt", "coffee", "comet", "copper", "coral", "cotton", "cradle", "crater", "crimson",
    "crown", "crystal", "dagger", "daisy", "dancer", "delta", "desert", "diesel", "dinner",
    "dolphin", "domino", "donkey", "dragon", "drawer", "eagle", "echo", "eleven", "ember",
    "emerald", "engine", "estate", "fabric", "falcon", "feather", "fender", "ferry", "fiddle",
    "filter", "finger", "flame", "flint", "flute", "forest", "fossil", "fountain", "galaxy",
    "garden", "garlic", "gate", "geyser", "ginger", "glacier", "globe", "glove", "goblet",
    "granite", "grape", "gravel", "guitar", "hammer", "harbor", "harvest", "hazel", "helmet",
    "heron", "hickory", "hinge", "honey", "horizon", "hotel", "igloo", "indigo", "iron", "island",
    "ivory", "jacket", "jaguar", "jasmine", "jersey", "jigsaw", "jungle", "kettle", "keyboard",
    "kitchen", "ladder", "lagoon", "lantern", "lava", "leather", "lemon", "lentil", "lily",
    "linen", "lizard", "lobster", "locket", "lotus", "lumber", "magnet", "mango", "maple",
    "marble", "market", "meadow", "melon", "meteor", "mirror", "monsoon", "mosaic", "motor",
    "mustard", "napkin", "nectar", "needle", "nickel", "nutmeg", "oasis", "ocean", "olive",
    "onion", "opal", "orbit", "orchid", "otter", "oxygen", "oyster", "paddle", "palace", "panda",
    "paper", "parrot", "pebble", "pencil", "pepper", "piano", "pigeon", "pillow", "pilot",
    "planet", "plum", "pocket", "pollen", "poplar", "prism", "pumpkin", "quartz", "quiver",
    "rabbit", "radar", "raven", "ribbon", "river", "rocket", "saddle", "salmon", "satin", "sesame",
    "shovel", "silver", "spruce", "summit", "sunset", "tablet", "temple", "thistle", "timber",
    "tomato", "tulip", "tunnel", "turtle", "umbrella", "vanilla", "velvet", "violin", "walnut",
    "willow", "window", "winter", "yellow", "zebra",
];

/// Six words for a key.
pub fn key_words(spki_sha256: &[u8; 32]) -> String {
    let word = |byte: &u8| WORDS.get(usize::from(*byte)).copied().unwrap_or_default();
    let words: Vec<&str> = spki_sha256.iter().take(6).map(word).collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_stable() {
        let distinct: std::collections::BTreeSet<_> = WORDS.iter().collect();
        assert_eq!(distinct.len(), 256);
        let mut key = [0u8; 32];
        key[1] = 255;
        assert_eq!(key_words(&key), "acid-zebra-acid-acid-acid-acid");
    }
}
