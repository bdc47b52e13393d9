//! The MySQL and MariaDB writer.
