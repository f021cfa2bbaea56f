"""What figures and tables share; those of the paper in `paper`, others in `beyond`, marks and tables in `plots`."""
