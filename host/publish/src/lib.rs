//! What others read of us: metrics and health over HTTP.
