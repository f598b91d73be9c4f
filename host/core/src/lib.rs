//! The tick as a pure function: snapshot in, decisions with their explanations out.
