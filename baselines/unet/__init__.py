"""A U-Net decoder on any convolutional encoder of timm."""
