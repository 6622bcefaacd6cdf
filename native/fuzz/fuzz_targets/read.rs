//! What stands at places of any bytes is read without a panic; of JSON, without an error.
#![no_main]

use esctl_core::columns::Contents;
use esctl_core::json::{Examined, Field, Kind, Places, examine, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, Vec<String>, &[u8], bool)| {
    let (payload, pointers, text, marked) = input;
    let mut pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
    pointers.sort_unstable();
    pointers.dedup();
    let kinds = [Kind::Boolean, Kind::Bigint, Kind::Decimal { whole: 9, scale: 2 }, Kind::Text, Kind::Container];
    let fields: Vec<&str> = pointers.iter().copied().take(kinds.len()).collect();
    let Ok(places) = Places::new(&pointers, &fields, payload, &["a"]) else { return };
    let written = str::from_utf8(text).ok().and_then(|text| match examine(text) {
        Ok(Examined::AsItIs) => Some(text.to_owned()),
        Ok(Examined::Anew(written)) => Some(written),
        Err(_) => None,
    });
    let is_json = written.is_some();
    let bytes = written.map_or(text.to_vec(), String::into_bytes);
    let bounds = [0i64.to_le_bytes(), (bytes.len() as i64).to_le_bytes()].concat();
    let texts = Contents::new(None, &bounds, &bytes, 1).unwrap();
    let fields = fields.iter().zip(kinds).map(|(_, kind)| Field::new(kind, "null")).collect();
    let found = read(&texts, &[u8::from(marked)], &places, fields);
    assert!(found.is_ok() || !is_json, "{bytes:?}");
    for column in found.map_or(vec![], |read| read.columns) {
        assert_eq!((column.valid.len(), column.kinds.len(), column.bounds.len()), (1, 1, 2));
    }
});
