"""What holds for the code as a whole: its layers, its names, and what a light start never loads."""
