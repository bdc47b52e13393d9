//! The kinds of values that writers tell apart.

use serde::{Deserialize, Serialize};

/// What a column's values are. Crosses the ABI as its name, so it can grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValueKind {
    /// `boolean`: `t` or `f`.
    Bool,
    /// `smallint`, `integer`, `bigint`, `oid`: fits an `i64`.
    Int,
    /// `real`, `double precision`.
    Float,
    /// `numeric`, any precision, `NaN` and infinities included.
    Decimal,
    /// `text`, `character varying`, `character`, `name`, `citext`, enums: plain text.
    Text,
    /// `bytea`.
    Bytes,
    /// `date`.
    Date,
    /// `time without time zone`.
    Time,
    /// `time with time zone`.
    TimeTz,
    /// `timestamp without time zone`.
    Timestamp,
    /// `timestamp with time zone`, printed in UTC.
    TimestampTz,
    /// `interval`.
    Interval,
    /// `uuid`.
    Uuid,
    /// `json`, `jsonb`.
    Json,
    /// An array, whatever its elements: PostgreSQL's array literal.
    Array,
    /// Everything else, as PostgreSQL prints it.
    #[default]
    #[serde(other)]
    Other,
}

impl ValueKind {
    /// Whether two different texts of the kind, as PostgreSQL prints it, are two different values.
    /// Not said of texts: there it is a matter of type and collation.
    #[must_use]
    pub fn has_one_text_per_value(self) -> bool {
        matches!(
            self,
            Self::Bool
                | Self::Int
                | Self::Bytes
                | Self::Date
                | Self::Time
                | Self::Timestamp
                | Self::TimestampTz
                | Self::Uuid
        )
    }

    /// The kind of a type by its OID in `pg_type`, for the types that every PostgreSQL has.
    ///
    /// Arrays of built-in types are recognized too; types made by users (enums, domains,
    /// composites) are not, since their OIDs differ from database to database.
    #[must_use]
    pub fn of_type(oid: u32) -> Self {
        match oid {
            16 => Self::Bool,
            20 | 21 | 23 | 26 => Self::Int,
            700 | 701 => Self::Float,
            1700 => Self::Decimal,
            18 | 19 | 25 | 1042 | 1043 => Self::Text,
            17 => Self::Bytes,
            1082 => Self::Date,
            1083 => Self::Time,
            1266 => Self::TimeTz,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1186 => Self::Interval,
            2950 => Self::Uuid,
            114 | 3802 => Self::Json,
            143
            | 199
            | 271
            | 629
            | 651
            | 719
            | 775
            | 791
            | 1000..=1003
            | 1005..=1010
            | 1011..=1022
            | 1027
            | 1028
            | 1034
            | 1040
            | 1041
            | 1115
            | 1182
            | 1183
            | 1185
            | 1187
            | 1231
            | 1270
            | 1561
            | 1563
            | 2201
            | 2207..=2211
            | 2949
            | 2951
            | 3221
            | 3643
            | 3644
            | 3645
            | 3735
            | 3770
            | 3807
            | 3905
            | 3907
            | 3909
            | 3911
            | 3913
            | 3927
            | 4073
            | 4090
            | 4097
            | 6150..=6157 => Self::Array,
            _ => Self::Other,
        }
    }
}
