//! The places of texts that are looked at.

use crate::columns::Misfit;

/// Tokens that a pointer may have: the walk down is a recursion.
const MOST_TOKENS: usize = 64;

/// The places to look at, as a tree.
pub struct Places {
    pub(super) nodes: Vec<Node>,
    pub(super) columns: usize,
}

#[derive(Default)]
pub(super) struct Node {
    pub children: Vec<(Box<str>, Option<usize>, usize)>,
    /// The columns of texts and of payloads that it is told in.
    pub column: Option<usize>,
    pub field: Option<usize>,
    /// Whether the members of an object here are counted, and the names of those that are not.
    pub counted: Option<Vec<Box<str>>>,
}

impl Places {
    /// Take JSON Pointers, of texts and of the payload's columns, each once in either.
    ///
    /// The object at `payload` has its members counted, but for some names.
    pub fn new(pointers: &[&str], fields: &[&str], payload: &str, excluded: &[&str]) -> Result<Self, Misfit> {
        let mut places = Self { nodes: vec![Node::default()], columns: pointers.len() };
        for (column, pointer) in pointers.iter().enumerate() {
            let at = places.node(pointer)?;
            if places.nodes[at].column.replace(column).is_some() {
                return Err(Misfit("a place is asked for twice"));
            }
        }
        for (field, pointer) in fields.iter().enumerate() {
            let at = places.node(pointer)?;
            if places.nodes[at].field.replace(field).is_some() {
                return Err(Misfit("a place is asked for twice"));
            }
        }
        let at = places.node(payload)?;
        places.nodes[at].counted = Some(excluded.iter().map(|&name| name.into()).collect());
        Ok(places)
    }

    fn node(&mut self, pointer: &str) -> Result<usize, Misfit> {
        let mut at = 0;
        let mut tokens = pointer.split('/');
        if tokens.next() != Some("") || pointer.matches('/').count() > MOST_TOKENS {
            return Err(Misfit("no JSON Pointer"));
        }
        for token in tokens {
            let name = token.replace("~1", "/").replace("~0", "~");
            at = match self.nodes[at].children.iter().find(|child| *child.0 == *name) {
                Some(child) => child.2,
                None => {
                    let next = self.nodes.len();
                    let is_index = name == "0" || (!name.starts_with('0') && name.bytes().all(|b| b.is_ascii_digit()));
                    let index = if is_index { name.parse().ok() } else { None };
                    self.nodes[at].children.push((name.into(), index, next));
                    self.nodes.push(Node::default());
                    next
                }
            };
        }
        Ok(at)
    }
}
