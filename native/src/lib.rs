//! The functions of esctl-core for Python: bytes in, bytes out, Python's lock given up meanwhile.
#![deny(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use esctl_core::columns::{Contents, Misfit, Numbers};
use esctl_core::{hashes, json, lines};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::PyBytes;

/// Counts changes of what the functions take and give: esctl uses a core of its own number only.
const INTERFACE: u32 = 5;

/// A column of bytes: a byte for each value (0: null) or nothing where all are there, bounds, data.
type Column = (Option<PyBackedBytes>, PyBackedBytes, PyBackedBytes);

/// Do what needs no Python without its lock. Whatever fails in there is an error that `except Exception` sees.
fn apart<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Misfit> + Send) -> PyResult<T> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Misfit(why))) => Err(PyValueError::new_err(why)),
        Err(_) => Err(PyRuntimeError::new_err("esctl_native has failed: set ESCTL_NATIVE=0 and report it")),
    }
}

/// Headers of records: as a column, but with the columns of their names and values for data.
type HeaderLists = (Option<PyBackedBytes>, PyBackedBytes, Column, Column);

fn headers(lists: &Option<HeaderLists>, rows: usize) -> Result<Option<hashes::Headers<'_>>, Misfit> {
    let Some((valid, bounds, names, values)) = lists else {
        return Ok(None);
    };
    let count = |column: &Column| (column.1.len() / 8).saturating_sub(1);
    let names = Contents::new(names.0.as_deref(), &names.1, &names.2, count(names))?;
    let values = Contents::new(values.0.as_deref(), &values.1, &values.2, count(values))?;
    hashes::Headers::new(valid.as_deref(), bounds, names, values, rows).map(Some)
}

fn contents(column: &Option<Column>, rows: usize) -> Result<Option<Contents<'_>>, Misfit> {
    let Some((valid, bounds, data)) = column else {
        return Ok(None);
    };
    Contents::new(valid.as_deref(), bounds, data, rows).map(Some)
}

/// The numbers of records: position, time of recording, offset, and source as a number of a name.
type Numbered = (PyBackedBytes, PyBackedBytes, PyBackedBytes, PyBackedBytes);

#[pyfunction]
#[allow(clippy::too_many_arguments)] // a column each
fn leaf_hashes<'py>(
    py: Python<'py>,
    numbers: Numbered,
    names: Vec<PyBackedStr>,
    times: Option<(PyBackedBytes, PyBackedBytes)>,
    keys: Option<Column>,
    header_lists: Option<HeaderLists>,
    raws: Option<Column>,
    salts: Option<Column>,
) -> PyResult<Bound<'py, PyBytes>> {
    let hashed = apart(py, || {
        let (positions, recorded_at, offsets, sources) = &numbers;
        let positions = Numbers::new(positions)?;
        let rows = positions.len();
        let times = match &times {
            Some((valid, micros)) => Some((&valid[..], Numbers::new(micros)?)),
            None => None,
        };
        hashes::leaf_hashes(&hashes::Records {
            positions,
            recorded_at: Numbers::new(recorded_at)?,
            offsets: Numbers::new(offsets)?,
            times,
            keys: contents(&keys, rows)?,
            headers: headers(&header_lists, rows)?,
            raws: contents(&raws, rows)?,
            salts: contents(&salts, rows)?,
            sources: Numbers::new(sources)?,
            names: names.iter().map(|name| name.as_bytes()).collect(),
        })
    })?;
    Ok(PyBytes::new(py, &hashed))
}

#[pyfunction]
fn pair_up<'py>(py: Python<'py>, nodes: PyBackedBytes) -> PyResult<Bound<'py, PyBytes>> {
    let above = apart(py, || Ok(hashes::pair_up(&nodes)))?;
    Ok(PyBytes::new(py, &above))
}

/// Give the ends in a piece of a window, and whether the line that is open behind it is blank so far.
#[pyfunction]
fn record_ends<'py>(
    py: Python<'py>,
    piece: PyBackedBytes,
    begins: bool,
    blank: bool,
) -> PyResult<(Bound<'py, PyBytes>, bool)> {
    let (ends, blank) = apart(py, || {
        let (ends, blank) = lines::record_ends(&piece, begins, blank);
        Ok((packed(&ends), blank))
    })?;
    Ok((PyBytes::new(py, &ends), blank))
}

/// Rows written anew, the bounds of their texts, these; rows that are no JSON, each with its reason.
type Judged<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<(i64, String)>);

#[pyfunction]
fn judge<'py>(py: Python<'py>, texts: Column, rows: usize) -> PyResult<Judged<'py>> {
    let judged = apart(py, || json::judge(&Contents::new(texts.0.as_deref(), &texts.1, &texts.2, rows)?))?;
    let bytes = |content: &[u8]| PyBytes::new(py, content);
    Ok((bytes(&packed(&judged.rows)), bytes(&packed(&judged.bounds)), bytes(&judged.text), judged.invalid))
}

/// A bit for each value, the bounds of texts, and these or other values.
type Values<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Bound<'py, PyBytes>);
/// A column of the payload: its pointer, kind, precision and scale, and what is noted of a null.
type Member = (PyBackedStr, PyBackedStr, usize, usize, PyBackedStr);
/// Texts, each with whether one of them is empty; payloads: which fit, which members are null, their columns.
type Found<'py> = (Vec<(Values<'py>, bool)>, Bound<'py, PyBytes>, Values<'py>, Vec<Values<'py>>);
type Packed = (Vec<u8>, Vec<u8>, Vec<u8>);

#[pyfunction]
fn read<'py>(
    py: Python<'py>,
    texts: Column,
    marked: PyBackedBytes,
    pointers: Vec<PyBackedStr>,
    members: Vec<Member>,
    payload: PyBackedStr,
    excluded: Vec<PyBackedStr>,
) -> PyResult<Found<'py>> {
    let (columns, fits, nulls, fields) = apart(py, || {
        let texts = Contents::new(texts.0.as_deref(), &texts.1, &texts.2, marked.len())?;
        let pointers: Vec<&str> = pointers.iter().map(|each| &**each).collect();
        let excluded: Vec<&str> = excluded.iter().map(|each| &**each).collect();
        let places: Vec<&str> = members.iter().map(|member| &*member.0).collect();
        let places = json::Places::new(&pointers, &places, &payload, &excluded)?;
        let fields = members
            .iter()
            .map(|(_, kind, precision, scale, mark)| {
                Ok(json::Field::new(json::Kind::new(kind, *precision, *scale)?, mark))
            })
            .collect::<Result<_, Misfit>>()?;
        let read = json::read(&texts, &marked, &places, fields)?;
        let columns =
            read.columns.into_iter().map(|it| ((bits(&it.valid), packed32(&it.bounds), it.data), it.is_blank));
        let payloads = read.payloads;
        let is_null: Vec<bool> = payloads.null_bounds.windows(2).map(|pair| pair[0] < pair[1]).collect();
        let nulls = (bits(&is_null), packed32(&payloads.null_bounds), payloads.nulls);
        let fields = payloads.fields.into_iter().map(|it| (bits(&it.valid), packed32(&it.bounds), it.data));
        Ok((columns.collect::<Vec<_>>(), bits(&payloads.fits), nulls, fields.collect::<Vec<_>>()))
    })?;
    let bytes = |content: &[u8]| PyBytes::new(py, content);
    let values = |(valid, bounds, data): &Packed| (bytes(valid), bytes(bounds), bytes(data));
    let texts = columns.iter().map(|(column, is_blank)| (values(column), *is_blank)).collect();
    Ok((texts, bytes(&fits), values(&nulls), fields.iter().map(values).collect()))
}

/// Pack a bit for each value, the first of eight lowest.
fn bits(values: &[bool]) -> Vec<u8> {
    values.chunks(8).map(|eight| eight.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
}

fn packed32(numbers: &[i32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() * 4);
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes
}

fn packed(numbers: &[i64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() * 8);
    numbers.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
    bytes
}

#[pymodule]
fn esctl_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(judge, module)?)?;
    module.add_function(wrap_pyfunction!(leaf_hashes, module)?)?;
    module.add_function(wrap_pyfunction!(pair_up, module)?)?;
    module.add_function(wrap_pyfunction!(read, module)?)?;
    module.add_function(wrap_pyfunction!(record_ends, module)?)?;
    Ok(())
}
