"""Reports, from files and from rows of tables, to text as it is stored."""
