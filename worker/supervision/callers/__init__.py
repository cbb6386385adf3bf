"""Whoever asks: at the control socket, and by HTTP. What is told here, and who may say what the service is to do."""
