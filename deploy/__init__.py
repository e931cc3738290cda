"""What the image, the listing on RunPod's Hub and the dashboards are made of, and what holds them to the code."""
