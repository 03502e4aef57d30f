"""Champion and challenger: train anew, judge both on the newest span, and keep what is better."""
