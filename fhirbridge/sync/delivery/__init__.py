"""What a delivery is made of: parcels, how they are sent, what a server lets us write."""
