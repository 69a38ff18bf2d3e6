//! One fuzz target under libFuzzer: the one that `QC_FUZZ_TARGET` names. The arguments are libFuzzer's.
#![no_main]

use std::sync::LazyLock;

use qc_fuzz::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("QC_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("QC_FUZZ_TARGET names no target: '{name}'"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
