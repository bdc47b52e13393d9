//! The syntax tree.

use crate::value::{DataType, Number};

/// A name as Oracle keeps it: folded to upper case unless it was quoted.
pub(crate) type Name = String;

/// A table's name, with its schema if it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableName {
    pub(crate) schema: Option<Name>,
    pub(crate) name: Name,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    /// The position among the statement's binds, from 0.
    Bind(usize),
    Number(Number),
    Text(String),
    Null,
    /// `DATE '…'`, or `TIMESTAMP '…'`.
    Time {
        is_date: bool,
        text: String,
    },
    Column {
        table: Option<Name>,
        name: Name,
    },
    RowNum,
    RowId {
        table: Option<Name>,
    },
    CountAll,
    Call {
        name: Name,
        args: Vec<Self>,
    },
    Negate(Box<Self>),
    Arithmetic {
        operator: char,
        left: Box<Self>,
        right: Box<Self>,
    },
    Concat(Box<Self>, Box<Self>),
    Compare {
        operator: &'static str,
        left: Box<Self>,
        right: Box<Self>,
    },
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    IsNull(Box<Self>),
    In {
        value: Box<Self>,
        list: Vec<Self>,
    },
    InQuery {
        value: Box<Self>,
        query: Box<Query>,
    },
    Between {
        value: Box<Self>,
        low: Box<Self>,
        high: Box<Self>,
    },
    Like {
        value: Box<Self>,
        pattern: Box<Self>,
        escape: Option<Box<Self>>,
    },
    Exists(Box<Query>),
    Query(Box<Query>),
    Case {
        branches: Vec<(Self, Self)>,
        otherwise: Option<Box<Self>>,
    },
    Cast {
        value: Box<Self>,
        to: DataType,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    pub(crate) is_distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) sources: Vec<Source>,
    pub(crate) condition: Option<Expr>,
    pub(crate) group: Vec<Expr>,
    pub(crate) order: Vec<Order>,
    pub(crate) offset: Option<Expr>,
    pub(crate) limit: Option<Expr>,
    pub(crate) is_for_update: bool,
    /// UNION ALL with more.
    pub(crate) and: Option<Box<Self>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    /// `*`, or `t.*`.
    All { table: Option<Name> },
    Value {
        value: Expr,
        name: Option<Name>,
        text: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) table: Relation,
    pub(crate) alias: Option<Name>,
    /// Of a JOIN with what stands before it.
    pub(crate) join: Option<(Join, Expr)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    Inner,
    Left,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Relation {
    Table(TableName),
    Query(Box<Query>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) value: Expr,
    pub(crate) is_descending: bool,
    pub(crate) nulls_first: Option<bool>,
}

/// A column and its new value; none is DEFAULT.
pub(crate) type Assignment = (Name, Option<Expr>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Merge {
    pub(crate) table: TableName,
    pub(crate) alias: Option<Name>,
    pub(crate) source: Source,
    pub(crate) on: Expr,
    pub(crate) update: Option<MergeUpdate>,
    pub(crate) insert: Option<MergeInsert>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MergeUpdate {
    pub(crate) set: Vec<Assignment>,
    pub(crate) condition: Option<Expr>,
    pub(crate) delete: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MergeInsert {
    pub(crate) columns: Vec<Name>,
    pub(crate) values: Vec<Option<Expr>>,
    pub(crate) condition: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rows {
    Values(Vec<Option<Expr>>),
    Query(Box<Query>),
}

/// A column as CREATE TABLE and ALTER TABLE define it. MODIFY may leave the type out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ColumnDefinition {
    pub(crate) name: Name,
    pub(crate) data_type: Option<DataType>,
    pub(crate) default: Option<(Expr, String)>,
    pub(crate) not_null: Option<bool>,
    pub(crate) is_identity: bool,
    pub(crate) constraints: Vec<ConstraintDefinition>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConstraintDefinition {
    pub(crate) name: Option<Name>,
    pub(crate) constraint: Constraint,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constraint {
    Primary(Vec<Name>),
    Unique(Vec<Name>),
    /// Kept, and enforced when a row is written.
    Foreign {
        columns: Vec<Name>,
        table: TableName,
        others: Vec<Name>,
    },
    /// Kept as text, and enforced when a row is written.
    Check(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Alteration {
    Add {
        columns: Vec<ColumnDefinition>,
        constraints: Vec<ConstraintDefinition>,
    },
    Modify(Vec<ColumnDefinition>),
    DropColumns(Vec<Name>),
    DropConstraint(Name),
    DropPrimary,
    RenameColumn {
        from: Name,
        to: Name,
    },
    Rename(Name),
    /// What changes nothing here, as LOGGING.
    Nothing,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    Query(Query),
    Insert {
        table: TableName,
        columns: Vec<Name>,
        rows: Rows,
    },
    Update {
        table: TableName,
        alias: Option<Name>,
        set: Vec<Assignment>,
        condition: Option<Expr>,
    },
    Delete {
        table: TableName,
        alias: Option<Name>,
        condition: Option<Expr>,
    },
    Merge(Box<Merge>),
    Lock {
        table: TableName,
        is_nowait: bool,
    },
    Commit,
    Rollback,
    CreateTable {
        table: TableName,
        columns: Vec<ColumnDefinition>,
        constraints: Vec<ConstraintDefinition>,
    },
    CreateIndex {
        name: Name,
        table: TableName,
        columns: Vec<Name>,
        is_unique: bool,
    },
    AlterTable {
        table: TableName,
        alterations: Vec<Alteration>,
    },
    DropTable {
        table: TableName,
        cascades: bool,
    },
    DropIndex(Name),
    Truncate(TableName),
    Comment,
    AlterSession(Vec<(String, String)>),
    /// A PL/SQL block of statements.
    Block(Vec<Block>),
}

/// A statement of a PL/SQL block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    Execute(String),
    Statement(Box<Statement>),
    Null,
    /// `BEGIN … EXCEPTION WHEN OTHERS THEN IF SQLCODE != n THEN RAISE; END IF; END`: codes that pass.
    Guarded {
        body: Vec<Self>,
        passing: Vec<i32>,
    },
}

impl Statement {
    /// Whether it commits before it begins and when it has ended.
    pub(crate) fn is_definition(&self) -> bool {
        matches!(
            self,
            Self::CreateTable { .. }
                | Self::CreateIndex { .. }
                | Self::AlterTable { .. }
                | Self::DropTable { .. }
                | Self::DropIndex(_)
                | Self::Truncate(_)
                | Self::Comment
        )
    }
}
