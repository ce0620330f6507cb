"""`snmp get`, `walk` and `probe`: a device asked by hand."""
