//! Types: the kind of a value, and what a column declares beyond it.

use std::fmt;

/// What a value is, without lengths and precisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The literal NULL, and a bind of nothing.
    Null,
    Number,
    Text,
    Clob,
    Raw,
    Blob,
    Date,
    Timestamp,
    TimestampTz,
    Double,
    Float,
    IntervalDs,
    IntervalYm,
    RowId,
}

impl Kind {
    /// The letter that stands for it in SQLite's SQL.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Null => '0',
            Self::Number => 'N',
            Self::Text => 'T',
            Self::Clob => 'C',
            Self::Raw => 'R',
            Self::Blob => 'B',
            Self::Date => 'D',
            Self::Timestamp => 'S',
            Self::TimestampTz => 'Z',
            Self::Double => 'E',
            Self::Float => 'F',
            Self::IntervalDs => 'I',
            Self::IntervalYm => 'Y',
            Self::RowId => 'W',
        }
    }

    pub(crate) fn of_letter(letter: char) -> Option<Self> {
        let all = [
            Self::Null,
            Self::Number,
            Self::Text,
            Self::Clob,
            Self::Raw,
            Self::Blob,
            Self::Date,
            Self::Timestamp,
            Self::TimestampTz,
            Self::Double,
            Self::Float,
            Self::IntervalDs,
            Self::IntervalYm,
            Self::RowId,
        ];
        all.into_iter().find(|kind| kind.letter() == letter)
    }

    pub(crate) fn is_lob(self) -> bool {
        matches!(self, Self::Clob | Self::Blob)
    }

    pub(crate) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::TimestampTz)
    }

    pub(crate) fn is_numeric(self) -> bool {
        matches!(self, Self::Number | Self::Double | Self::Float)
    }

    /// As errors name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "-",
            Self::Number => "NUMBER",
            Self::Text => "CHAR",
            Self::Clob => "CLOB",
            Self::Raw => "BINARY",
            Self::Blob => "BLOB",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Self::Double => "BINARY_DOUBLE",
            Self::Float => "BINARY_FLOAT",
            Self::IntervalDs => "INTERVAL DAY TO SECOND",
            Self::IntervalYm => "INTERVAL YEAR TO MONTH",
            Self::RowId => "ROWID",
        }
    }
}

/// The declared type of a column, or the best description of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DataType {
    /// Both absent: any number. A scale without a precision is `NUMBER(*, s)`.
    Number {
        precision: Option<u8>,
        scale: Option<i8>,
    },
    /// FLOAT(p), in binary digits.
    FloatNumber {
        precision: u8,
    },
    Varchar {
        length: u32,
        in_chars: bool,
    },
    Char {
        length: u32,
        in_chars: bool,
    },
    Raw {
        length: u32,
    },
    Clob,
    Blob,
    Date,
    Timestamp {
        digits: u8,
    },
    TimestampTz {
        digits: u8,
    },
    Double,
    Float,
    IntervalDs {
        days: u8,
        digits: u8,
    },
    IntervalYm {
        years: u8,
    },
    RowId,
}

impl DataType {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Number { .. } | Self::FloatNumber { .. } => Kind::Number,
            Self::Varchar { .. } | Self::Char { .. } => Kind::Text,
            Self::Raw { .. } => Kind::Raw,
            Self::Clob => Kind::Clob,
            Self::Blob => Kind::Blob,
            Self::Date => Kind::Date,
            Self::Timestamp { .. } => Kind::Timestamp,
            Self::TimestampTz { .. } => Kind::TimestampTz,
            Self::Double => Kind::Double,
            Self::Float => Kind::Float,
            Self::IntervalDs { .. } => Kind::IntervalDs,
            Self::IntervalYm { .. } => Kind::IntervalYm,
            Self::RowId => Kind::RowId,
        }
    }

    /// The type of an expression of which only the kind is known.
    pub(crate) fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Number => Self::Number {
                precision: None,
                scale: None,
            },
            Kind::Null | Kind::Text => Self::Varchar {
                length: 4000,
                in_chars: false,
            },
            Kind::Clob => Self::Clob,
            Kind::Raw => Self::Raw { length: 2000 },
            Kind::Blob => Self::Blob,
            Kind::Date => Self::Date,
            Kind::Timestamp => Self::Timestamp { digits: 9 },
            Kind::TimestampTz => Self::TimestampTz { digits: 9 },
            Kind::Double => Self::Double,
            Kind::Float => Self::Float,
            Kind::IntervalDs => Self::IntervalDs { days: 9, digits: 9 },
            Kind::IntervalYm => Self::IntervalYm { years: 9 },
            Kind::RowId => Self::RowId,
        }
    }

    /// As SQL declares it: what the parser reads.
    pub(crate) fn declaration(self) -> String {
        match self {
            Self::Number {
                precision: None,
                scale: None,
            } => "NUMBER".to_owned(),
            Self::Number { precision, scale } => {
                let precision =
                    precision.map_or_else(|| "*".to_owned(), |digits| digits.to_string());
                format!("NUMBER({precision}, {})", scale.unwrap_or(0))
            }
            Self::FloatNumber { precision } => format!("FLOAT({precision})"),
            Self::Varchar { length, in_chars } | Self::Char { length, in_chars } => {
                format!(
                    "{self}({length} {})",
                    if in_chars { "CHAR" } else { "BYTE" }
                )
            }
            Self::Raw { length } => format!("RAW({length})"),
            Self::Timestamp { digits } => format!("TIMESTAMP({digits})"),
            other => other.to_string(),
        }
    }

    /// Bytes of a value at most.
    pub(crate) fn bytes(self) -> u32 {
        match self {
            Self::Varchar { length, in_chars } | Self::Char { length, in_chars } => {
                if in_chars {
                    (length * 4).min(4000)
                } else {
                    length
                }
            }
            Self::Raw { length } => length,
            Self::Number { .. } | Self::FloatNumber { .. } => 22,
            Self::Clob | Self::Blob => 4000,
            Self::Date => 7,
            Self::Timestamp { .. } => 11,
            Self::TimestampTz { .. } => 13,
            Self::Double => 8,
            Self::Float => 4,
            Self::IntervalDs { .. } => 11,
            Self::IntervalYm { .. } => 5,
            Self::RowId => 10,
        }
    }
}

/// As the column DATA_TYPE of USER_TAB_COLUMNS has it.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { .. } => f.write_str("NUMBER"),
            Self::FloatNumber { .. } => f.write_str("FLOAT"),
            Self::Varchar { .. } => f.write_str("VARCHAR2"),
            Self::Char { .. } => f.write_str("CHAR"),
            Self::Raw { .. } => f.write_str("RAW"),
            Self::Clob => f.write_str("CLOB"),
            Self::Blob => f.write_str("BLOB"),
            Self::Date => f.write_str("DATE"),
            Self::Timestamp { digits } => write!(f, "TIMESTAMP({digits})"),
            Self::TimestampTz { digits } => write!(f, "TIMESTAMP({digits}) WITH TIME ZONE"),
            Self::Double => f.write_str("BINARY_DOUBLE"),
            Self::Float => f.write_str("BINARY_FLOAT"),
            Self::IntervalDs { days, digits } => {
                write!(f, "INTERVAL DAY({days}) TO SECOND({digits})")
            }
            Self::IntervalYm { years } => write!(f, "INTERVAL YEAR({years}) TO MONTH"),
            Self::RowId => f.write_str("ROWID"),
        }
    }
}
