"""Single radiographs, from DICOM and image files to grey values as displayed."""
