"""TensorFlow.js with a demo page; run by Node.js during the export and by browsers later."""
