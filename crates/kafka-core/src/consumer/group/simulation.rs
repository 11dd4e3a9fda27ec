//! Members and modelled coordinators in virtual time, with lost and delayed messages; a failure prints its seed.
