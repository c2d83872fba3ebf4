"""`medssl bench radiographs`: ConVIRT, its switches and its rivals on real chest radiographs."""
