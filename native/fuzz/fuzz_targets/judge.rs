//! Any bytes are judged without a panic, and what is written anew is JSON that is written anew no more.
#![no_main]

use esctl_core::json::{Examined, Keys, examine, is_plain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let plain = is_plain(bytes, &mut Keys::default());
    let Ok(text) = str::from_utf8(bytes) else { return };
    match examine(text) {
        Ok(Examined::AsItIs) => {}
        Ok(Examined::Anew(written)) => {
            assert!(!plain);
            // Its marked strings get another mark, but nothing else is to be done.
            assert!(examine(&written).is_ok(), "{text:?} became {written:?}");
        }
        Err(reason) => assert!(!plain && reason.contains(" at byte "), "{text:?}: {reason}"),
    }
});
