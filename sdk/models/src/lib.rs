//! The maths that policies share: queueing, tracking, forecasting, capacity.
