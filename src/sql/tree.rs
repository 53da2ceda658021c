//! libpg_query's parse tree in one generic form: a node kind, named fields, lists, scalars.
//!
//! The form is made by a serde `Serializer` from pg_query's derived `Serialize`, so that no node
//! kind and no field can be forgotten: a walker that recurses over [`Node::fields`] sees
//! everything there is. Only locations are left out, and fields that hold protobuf's default
//! value (proto3 does not tell those from absent ones). Two trees are the same statement exactly
//! when they are equal. Nothing here knows what a node means.

use serde::ser::{self, Serialize};

/// A value in the tree. Protobuf's default scalars (`0`, `false`, `""`) are [`Tree::Null`] in fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tree {
    /// Absent.
    Null,
    /// A boolean, an integer or an enumeration's number.
    Int(i64),
    /// A float, as its bits: only planner fields have one, never a client's constant.
    Float(u64),
    /// A string.
    Str(String),
    /// Repeated values.
    List(Vec<Tree>),
    /// A message.
    Node(Node),
}

/// One parse node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    /// Name of the protobuf message as Rust spells it: `SelectStmt`, `AExpr`, `RangeVar` ...
    pub kind: &'static str,
    /// Fields that are not at their default, in declaration order.
    pub fields: Vec<(&'static str, Tree)>,
}

static NULL: Tree = Tree::Null;

impl Node {
    /// The field, or [`Tree::Null`] when it is at its default.
    pub fn field(&self, name: &str) -> &Tree {
        self.fields.iter().find(|(n, _)| *n == name).map_or(&NULL, |(_, v)| v)
    }

    /// The field as a node.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.field(name).as_node()
    }

    /// The field as a string, `""` when absent.
    pub fn str(&self, name: &str) -> &str {
        match self.field(name) {
            Tree::Str(s) => s,
            _ => "",
        }
    }

    /// The field as an integer, boolean or enumeration number; 0 when absent.
    pub fn int(&self, name: &str) -> i64 {
        match self.field(name) {
            Tree::Int(i) => *i,
            _ => 0,
        }
    }

    /// True when a boolean field is set.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name) != 0
    }

    /// The elements of a list field.
    pub fn list(&self, name: &str) -> &[Tree] {
        match self.field(name) {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// The nodes of a list field.
    pub fn nodes<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Node> + use<'a> {
        self.list(name).iter().filter_map(Tree::as_node)
    }

    /// True when the field is not at its default.
    pub fn has(&self, name: &str) -> bool {
        !matches!(self.field(name), Tree::Null)
    }

    /// The strings of a list of `String` nodes (a dotted name); other elements are skipped.
    pub fn names(&self, field: &str) -> Vec<&str> {
        self.nodes(field).filter(|n| n.kind == "String").map(|n| n.str("sval")).collect()
    }

    /// Every direct child node, those inside lists included.
    pub fn children(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        for (_, value) in &self.fields {
            collect(value, &mut out);
        }
        out
    }
}

fn collect<'a>(value: &'a Tree, out: &mut Vec<&'a Node>) {
    match value {
        Tree::Node(n) => out.push(n),
        Tree::List(items) => items.iter().for_each(|i| collect(i, out)),
        Tree::Null | Tree::Int(_) | Tree::Float(_) | Tree::Str(_) => {}
    }
}

impl Tree {
    /// This value as a node.
    pub fn as_node(&self) -> Option<&Node> {
        match self {
            Tree::Node(n) => Some(n),
            _ => None,
        }
    }
}

/// The generic form of a protobuf value.
pub fn tree_of<T: Serialize>(value: &T) -> Result<Tree, TreeError> {
    value.serialize(Builder::<false>)
}

/// The same with the places in the text: only to find what stands where, never for comparison.
pub(super) fn located_tree_of<T: Serialize>(value: &T) -> Result<Tree, TreeError> {
    value.serialize(Builder::<true>)
}

/// True when two statements are the same tree, locations aside.
pub fn same_tree(a: &pg_query::protobuf::Node, b: &pg_query::protobuf::Node) -> bool {
    matches!((tree_of(a), tree_of(b)), (Ok(a), Ok(b)) if a == b)
}

/// A value that has no place in a parse tree; cannot happen with pg_query's types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse tree value of an unexpected kind: {0}")]
pub struct TreeError(String);

impl ser::Error for TreeError {
    fn custom<T: std::fmt::Display>(msg: T) -> Self {
        TreeError(msg.to_string())
    }
}

/// Fields that only say where in the text a node stood.
pub(super) fn is_location(name: &str) -> bool {
    matches!(
        name,
        "location"
            | "stmt_location"
            | "stmt_len"
            | "arg_location"
            | "list_start"
            | "list_end"
            | "rexpr_list_start"
            | "rexpr_list_end"
            | "name_location"
            | "conninfo_location"
            | "payload_location"
    )
}

/// `L`: locations are kept.
struct Builder<const L: bool>;

struct StructBuilder<const L: bool> {
    kind: &'static str,
    fields: Vec<(&'static str, Tree)>,
}

struct SeqBuilder<const L: bool>(Vec<Tree>);

fn is_default(value: &Tree) -> bool {
    match value {
        Tree::Null | Tree::Int(0) => true,
        Tree::Float(bits) => *bits == 0,
        Tree::Str(s) => s.is_empty(),
        Tree::List(l) => l.is_empty(),
        Tree::Int(_) | Tree::Node(_) => false,
    }
}

impl<const L: bool> ser::SerializeStruct for StructBuilder<L> {
    type Ok = Tree;
    type Error = TreeError;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), TreeError> {
        if !L && is_location(key) {
            return Ok(());
        }
        let value = value.serialize(Builder::<L>)?;
        if !is_default(&value) {
            self.fields.push((key, value));
        }
        Ok(())
    }
    fn end(mut self) -> Result<Tree, TreeError> {
        // The message `Node` is only the envelope of its one variant.
        if self.kind == "Node" {
            return Ok(self.fields.pop().map_or(Tree::Null, |(_, v)| v));
        }
        // Long lists of constants make millions of nodes: none keeps room for fields it has not.
        self.fields.shrink_to_fit();
        Ok(Tree::Node(Node { kind: self.kind, fields: self.fields }))
    }
}

impl<const L: bool> ser::SerializeSeq for SeqBuilder<L> {
    type Ok = Tree;
    type Error = TreeError;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), TreeError> {
        self.0.push(value.serialize(Builder::<L>)?);
        Ok(())
    }
    fn end(self) -> Result<Tree, TreeError> {
        Ok(Tree::List(self.0))
    }
}

/// Types that protobuf messages cannot contain.
fn unexpected<T>(what: &str) -> Result<T, TreeError> {
    Err(TreeError(what.to_owned()))
}

macro_rules! integers {
    ($($method:ident: $t:ty),*) => {
        $(fn $method(self, v: $t) -> Result<Tree, TreeError> { Ok(Tree::Int(i64::from(v))) })*
    };
}

type Never = ser::Impossible<Tree, TreeError>;

impl<const L: bool> ser::Serializer for Builder<L> {
    type Ok = Tree;
    type Error = TreeError;
    type SerializeSeq = SeqBuilder<L>;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = StructBuilder<L>;
    type SerializeStructVariant = Never;

    integers!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32);
    fn serialize_u64(self, v: u64) -> Result<Tree, TreeError> {
        i64::try_from(v).map(Tree::Int).or_else(|_| Ok(Tree::Str(v.to_string())))
    }
    fn serialize_f32(self, v: f32) -> Result<Tree, TreeError> {
        self.serialize_f64(f64::from(v))
    }
    fn serialize_f64(self, v: f64) -> Result<Tree, TreeError> {
        Ok(Tree::Float(v.to_bits()))
    }
    fn serialize_char(self, v: char) -> Result<Tree, TreeError> {
        Ok(Tree::Str(v.to_string()))
    }
    fn serialize_str(self, v: &str) -> Result<Tree, TreeError> {
        Ok(Tree::Str(v.to_owned()))
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<Tree, TreeError> {
        unexpected("bytes")
    }
    fn serialize_none(self) -> Result<Tree, TreeError> {
        Ok(Tree::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Tree, TreeError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Tree, TreeError> {
        Ok(Tree::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, TreeError> {
        Ok(Tree::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, i: u32, _: &'static str) -> Result<Tree, TreeError> {
        Ok(Tree::Int(i64::from(i)))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, TreeError> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, TreeError> {
        // The payload's own struct name tells the variant.
        value.serialize(self)
    }
    fn serialize_seq(self, len: Option<usize>) -> Result<SeqBuilder<L>, TreeError> {
        Ok(SeqBuilder(Vec::with_capacity(len.unwrap_or(0))))
    }
    fn serialize_tuple(self, _: usize) -> Result<Never, TreeError> {
        unexpected("tuple")
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Never, TreeError> {
        unexpected("tuple struct")
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, TreeError> {
        unexpected("tuple variant")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Never, TreeError> {
        unexpected("map")
    }
    fn serialize_struct(self, name: &'static str, len: usize) -> Result<StructBuilder<L>, TreeError> {
        Ok(StructBuilder { kind: name, fields: Vec::with_capacity(len.min(8)) })
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Never, TreeError> {
        unexpected("struct variant")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(sql: &str) -> Tree {
        let parsed = pg_query::parse(sql, 0).expect("parses");
        tree_of(&parsed.protobuf.stmts[0].stmt).expect("a tree")
    }

    #[test]
    fn locations_do_not_matter_and_everything_else_does() {
        assert_eq!(tree("SELECT a FROM t WHERE x IN (1, 2)"), tree("select  a\nfrom t where x in(1,2) -- c"));
        for (a, b) in [
            ("SELECT 1", "SELECT 2"),
            ("SELECT 0", "SELECT NULL"),
            ("SELECT ''", "SELECT NULL"),
            ("SELECT false", "SELECT 0"),
            ("SELECT 1", "SELECT '1'"),
            ("SELECT 1.0", "SELECT '1.0'"),
            ("SELECT a", "SELECT \"A\""),
            ("SELECT $1", "SELECT $2"),
            ("SELECT a FROM t", "SELECT a FROM ONLY t"),
            ("SELECT a FROM t", "SELECT a FROM s.t"),
            ("SELECT a UNION SELECT b", "SELECT a UNION ALL SELECT b"),
            ("SELECT b'1'", "SELECT x'1'"),
            ("SELECT ARRAY[1,NULL]", "SELECT ARRAY[NULL,1]"),
            ("SELECT f(a)", "SELECT f(VARIADIC a)"),
            ("SELECT a BETWEEN 1 AND 2", "SELECT a BETWEEN SYMMETRIC 1 AND 2"),
            ("SELECT * FROM a LEFT JOIN b ON true", "SELECT * FROM a RIGHT JOIN b ON true"),
            ("SELECT a = ANY (SELECT 1)", "SELECT a OPERATOR(pg_catalog.=) ANY (SELECT 1)"),
        ] {
            assert_ne!(tree(a), tree(b), "{a} against {b}");
        }
    }

    #[test]
    fn defaults_inside_lists_stay() {
        assert_ne!(tree("SELECT a[1:]"), tree("SELECT a[:1]"));
        assert_ne!(tree("SELECT ROW(0, 1)"), tree("SELECT ROW(1)"));
    }
}
