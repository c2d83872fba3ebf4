"""The ablations of the wearable recipe beside its rivals, on open PPG and ECG."""
