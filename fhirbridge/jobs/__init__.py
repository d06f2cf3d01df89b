"""Background work: the table says what is due, leases say who may do it, a broker only wakes."""
