"""Waveform files to segments: readers, resampling, segmentation, signal quality."""
