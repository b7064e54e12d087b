"""TensorFlow.js with a demo page, run by Node.js here and by browsers elsewhere."""
