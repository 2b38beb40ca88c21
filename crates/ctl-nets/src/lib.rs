//! Networks for medical images: MLP, MNIST CNN, ResNet-18.
