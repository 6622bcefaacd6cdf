//! Columns that do not fit together are an error, and lines of any bytes end within them.
#![no_main]

use esctl_core::columns::{Contents, Numbers};
use esctl_core::hashes::{Headers, Records, leaf_hashes, pair_up};
use esctl_core::json::judge;
use esctl_core::lines::record_ends;
use libfuzzer_sys::fuzz_target;

type Column<'a> = (Option<&'a [u8]>, &'a [u8], &'a [u8]);

fuzz_target!(|input: ([&[u8]; 5], Column, Column, &str, bool)| {
    let (numbers, raw, other, name, begins) = input;
    let (ends, _) = record_ends(raw.2, begins, true);
    assert!(ends.iter().all(|&end| end > 0 && end as usize <= raw.2.len()));
    let _ = pair_up(raw.2);
    let rows = numbers[0].len() / 8;
    let contents = |(valid, bounds, data)| Contents::new(valid, bounds, data, rows).ok();
    if let Some(texts) = contents(raw) {
        let _ = judge(&texts);
    }
    let [Ok(positions), Ok(recorded_at), Ok(offsets), Ok(times), Ok(sources)] = numbers.map(Numbers::new) else { return };
    let headers = contents(other).and_then(|names| Headers::new(raw.0, raw.1, names, names, rows).ok());
    let records = Records {
        positions,
        recorded_at,
        offsets,
        times: raw.0.map(|valid| (valid, times)),
        keys: contents(other),
        headers,
        raws: contents(raw),
        salts: contents(other),
        sources,
        names: vec![name.as_bytes()],
    };
    if let Ok(hashes) = leaf_hashes(&records) {
        assert_eq!(hashes.len(), rows * 32);
    }
});
